#include "probe.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/facts.hpp"

namespace lbctl::kernel {
namespace {

using model::IpAddress;
using model::MacAddress;
using rtnl::Frame;
using Holders = std::map<IpAddress, std::set<MacAddress>>;
using Clock = std::chrono::steady_clock;

constexpr int probes = 3;  // RFC 5227 1.1, PROBE_NUM

struct Segment {
  Fd fd;
  MacAddress mac;  ///< the device's
};

Result<Segment> open_segment(const std::string& device) {
  const unsigned int index = if_nametoindex(device.c_str());
  if (index == 0) return fail_errno(fmt::format("find device {}", device));
  Segment out{.fd = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(rtnl::ethertype_arp)))};
  if (!out.fd) return fail_errno("open a packet socket");
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(rtnl::ethertype_arp);
  at.sll_ifindex = static_cast<int>(index);
  if (::bind(out.fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0)
    return fail_errno(fmt::format("listen on {}", device));
  ifreq request{};
  device.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(out.fd.get(), SIOCGIFHWADDR, &request) < 0)
    return fail_errno(fmt::format("read the Ethernet address of {}", device));
  std::memcpy(out.mac.octets.data(), request.ifr_hwaddr.sa_data, out.mac.octets.size());
  return out;
}

Result<> ask(const Segment& segment, const std::set<IpAddress>& addresses) {
  for (const IpAddress& address : addresses) {
    const Frame frame = rtnl::arp_probe(address, segment.mac);
    if (::send(segment.fd.get(), frame.data(), frame.size(), 0) < 0)
      return fail_errno("send an ARP probe");
  }
  return {};
}

void listen(const Segment& segment, const std::set<IpAddress>& addresses, Clock::time_point until,
            Holders& out) {
  std::array<std::uint8_t, 128> buffer{};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd waiting{.fd = segment.fd.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return;
    const ssize_t got = ::recv(segment.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) continue;
    const auto said = rtnl::read_arp_reply(std::span(buffer).first(static_cast<std::size_t>(got)));
    if (said && addresses.contains(said->first) && said->second != segment.mac)
      out[said->first].insert(said->second);
  }
}

}  // namespace

namespace rtnl {

Frame arp_probe(const IpAddress& address, const MacAddress& mac) {
  return arp_frame(arp_request, {mac, {}}, {{}, address});
}

std::optional<std::pair<IpAddress, MacAddress>> read_arp_reply(
    std::span<const std::uint8_t> frame) {
  // Ethernet's 14 octets, then as arp_frame() has it.
  constexpr std::size_t size = 42;
  constexpr std::array<std::uint8_t, 10> head{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, arp_reply};
  if (frame.size() < size || !std::ranges::equal(frame.subspan(12, head.size()), head))
    return std::nullopt;
  const auto sender = frame.subspan(22);
  MacAddress mac;
  std::ranges::copy(sender.first(6), mac.octets.begin());
  const auto address = IpAddress::from_octets(sender.subspan(6, 4));
  return address ? std::optional(std::pair(*address, mac)) : std::nullopt;
}

}  // namespace rtnl

Result<Holders> find_holders(const std::string& device, const std::set<IpAddress>& addresses,
                             std::chrono::milliseconds patience) {
  Holders out;
  if (addresses.empty()) return out;
  const auto segment = open_segment(device);
  if (!segment) return fail(segment.error());
  const auto start = Clock::now();
  for (int sent = 1; sent <= probes; ++sent) {
    if (auto done = ask(*segment, addresses); !done) return fail(std::move(done).error());
    listen(*segment, addresses, start + patience * sent / probes, out);
  }
  return out;
}

}  // namespace lbctl::kernel
