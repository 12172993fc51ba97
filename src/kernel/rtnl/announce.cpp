#include "announce.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>

#include "lbctl/base/handle.hpp"

namespace lbctl::kernel::rtnl {
namespace {

using model::IpAddress;
using model::MacAddress;

// A lost frame must not leave a host with the old MAC; more than a few help nobody.
constexpr int repeats = 3;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;
constexpr MacAddress broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr MacAddress all_nodes_mac{{0x33, 0x33, 0, 0, 0, 1}};
constexpr std::array<std::uint8_t, 16> all_nodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

void put(Frame& frame, std::span<const std::uint8_t> octets) {
  frame.insert(frame.end(), octets.begin(), octets.end());
}

void put16(Frame& frame, std::uint16_t value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8));
  frame.push_back(static_cast<std::uint8_t>(value & 0xff));
}

Frame ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type) {
  Frame frame;
  put(frame, to.octets);
  put(frame, from.octets);
  put16(frame, type);
  return frame;
}

Frame advertisement(const IpAddress& address, const MacAddress& mac) {
  Frame icmp{136, 0, 0, 0, 0x20, 0, 0, 0};  // checksum 0 so far; override, not solicited
  put(icmp, address.octets());
  icmp.insert(icmp.end(), {2, 1});  // option: target link-layer address, 8 octets
  put(icmp, mac.octets);

  Frame pseudo;
  put(pseudo, address.octets());
  put(pseudo, all_nodes);
  put16(pseudo, 0);
  put16(pseudo, static_cast<std::uint16_t>(icmp.size()));
  put16(pseudo, 0);
  put16(pseudo, 58);  // ICMPv6
  put(pseudo, icmp);
  const std::uint16_t sum = checksum(pseudo);
  icmp[2] = static_cast<std::uint8_t>(sum >> 8);
  icmp[3] = static_cast<std::uint8_t>(sum & 0xff);

  Frame frame = ethernet(all_nodes_mac, mac, ethertype_ipv6);
  frame.insert(frame.end(), {0x60, 0, 0, 0});
  put16(frame, static_cast<std::uint16_t>(icmp.size()));
  frame.insert(frame.end(), {58, 255});  // receivers insist on the hop limit
  put(frame, address.octets());
  put(frame, all_nodes);
  put(frame, icmp);
  return frame;
}

}  // namespace

std::uint16_t checksum(std::span<const std::uint8_t> octets) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2)
    sum += static_cast<std::uint32_t>(octets[i] << 8 | octets[i + 1]);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Frame arp_frame(std::uint16_t operation, const ArpEnd& sender, const ArpEnd& target) {
  Frame frame = ethernet(broadcast, sender.mac, ethertype_arp);
  put16(frame, 1);       // Ethernet
  put16(frame, 0x0800);  // IPv4
  frame.push_back(6);
  frame.push_back(4);
  put16(frame, operation);
  for (const ArpEnd& end : {sender, target}) {
    put(frame, end.mac.octets);
    put(frame, end.address.octets());
  }
  return frame;
}

std::vector<Frame> announcement(const IpAddress& address, const MacAddress& mac) {
  if (!address.is_v4()) return {advertisement(address, mac)};
  // A request asks for no MAC (RFC 5227 2.3); a reply repeats ours (RFC 5944 4.6).
  return {arp_frame(arp_request, {mac, address}, {{}, address}),
          arp_frame(arp_reply, {mac, address}, {mac, address})};
}

Result<> announce(std::uint32_t device, const IpAddress& address, const MacAddress& mac) {
  const Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a packet socket");
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(device);
  to.sll_halen = 6;
  const auto frames = announcement(address, mac);
  for (int i = 0; i < repeats; ++i) {
    for (const Frame& frame : frames) {
      to.sll_protocol = htons(address.is_v4() ? ethertype_arp : ethertype_ipv6);
      if (::sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof to) < 0)
        return fail_errno("send a frame");
    }
  }
  return {};
}

}  // namespace lbctl::kernel::rtnl
