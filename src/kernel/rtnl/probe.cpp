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
namespace rtnl {
namespace {

using model::IpAddress;
using model::MacAddress;
using Clock = std::chrono::steady_clock;

constexpr int probes = 3;

class ArpProber final : public Prober {
 public:
  ArpProber(Fd fd, MacAddress mac, const std::set<IpAddress>& addresses)
      : fd_(std::move(fd)), mac_(mac), addresses_(addresses) {}

  int fd() const override { return fd_.get(); }

  Result<> ask() override {
    for (const IpAddress& address : addresses_) {
      const Frame frame = arp_probe(address, mac_);
      if (::send(fd_.get(), frame.data(), frame.size(), 0) < 0)
        return fail_errno("send an ARP probe");
    }
    return {};
  }

  std::optional<Claim> hear() override {
    std::array<std::uint8_t, 128> buffer{};
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) return std::nullopt;
    return read_arp_reply(std::span(buffer).first(static_cast<std::size_t>(got)));
  }

 private:
  Fd fd_;
  MacAddress mac_;
  const std::set<IpAddress>& addresses_;
};

void listen(Prober& prober, const std::set<IpAddress>& addresses, const MacAddress& mac,
            Clock::time_point until, Holders& out) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd waiting{.fd = prober.fd(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return;
    const auto said = prober.hear();
    if (said && addresses.contains(said->first) && said->second != mac)
      out[said->first].insert(said->second);
  }
}

}  // namespace

Result<Holders> probe(Prober& prober, const std::set<IpAddress>& addresses, const MacAddress& mac,
                      std::chrono::milliseconds patience) {
  Holders out;
  const auto start = Clock::now();
  for (int sent = 1; sent <= probes; ++sent) {
    if (auto done = prober.ask(); !done) return fail(std::move(done).error());
    listen(prober, addresses, mac, start + patience * sent / probes, out);
  }
  return out;
}

Result<Device> find_device(int fd, const std::string& name) {
  Device out{.index = if_nametoindex(name.c_str())};
  if (out.index == 0) return fail_errno(fmt::format("find device {}", name));
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (::ioctl(fd, SIOCGIFHWADDR, &request) < 0)
    return fail_errno(fmt::format("read the Ethernet address of {}", name));
  std::memcpy(out.mac.octets.data(), request.ifr_hwaddr.sa_data, out.mac.octets.size());
  return out;
}

Frame arp_probe(const IpAddress& address, const MacAddress& mac) {
  return arp_frame(arp_request, {mac, {}}, {{}, address});
}

std::optional<Claim> read_arp_reply(std::span<const std::uint8_t> frame) {
  // Ethernet's 14 octets, then as arp_frame() has it.
  constexpr std::size_t size = 42;
  constexpr std::array<std::uint8_t, 10> head{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, arp_reply};
  if (frame.size() < size || !std::ranges::equal(frame.subspan(12, head.size()), head))
    return std::nullopt;
  const auto sender = frame.subspan(22);
  MacAddress mac;
  std::ranges::copy(sender.first(6), mac.octets.begin());
  const auto address = IpAddress::from_octets(sender.subspan(6, 4));
  return address ? std::optional(Claim(*address, mac)) : std::nullopt;
}

}  // namespace rtnl

Result<rtnl::Holders> find_arp_holders(const std::string& device,
                                       const std::set<model::IpAddress>& addresses,
                                       std::chrono::milliseconds patience) {
  if (addresses.empty()) return {};
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(rtnl::ethertype_arp)));
  if (!fd) return fail_errno("open a packet socket");
  const auto found = rtnl::find_device(fd.get(), device);
  if (!found) return fail(found.error());
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(rtnl::ethertype_arp);
  at.sll_ifindex = static_cast<int>(found->index);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) < 0)
    return fail_errno(fmt::format("listen on {}", device));
  rtnl::ArpProber prober(std::move(fd), found->mac, addresses);
  return rtnl::probe(prober, addresses, found->mac, patience);
}

}  // namespace lbctl::kernel
