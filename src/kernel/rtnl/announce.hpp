// Telling a segment that an address is here now: gratuitous ARP (RFC 5227, RFC 5944 4.6) and
// unsolicited neighbour advertisement (RFC 4861 7.2.6).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/model/address.hpp"

namespace lbctl::kernel::rtnl {

using Frame = std::vector<std::uint8_t>;

inline constexpr std::uint16_t ethertype_arp = 0x0806, arp_request = 1, arp_reply = 2;

/// RFC 1071, over a length that is even; in host order.
std::uint16_t checksum(std::span<const std::uint8_t> octets);

/// One of the two that an ARP packet is about.
struct ArpEnd {
  model::MacAddress mac;
  model::IpAddress address;  ///< IPv4
};
/// The whole Ethernet frame, to everybody.
Frame arp_frame(std::uint16_t operation, const ArpEnd& sender, const ArpEnd& target);

/// The whole Ethernet frames that announce `address` at `mac`: for IPv4 an ARP request and an ARP
/// reply, since some hosts heed only the one or the other; for IPv6 one advertisement.
std::vector<Frame> announcement(const model::IpAddress& address, const model::MacAddress& mac);

/// Sends them a few times through AF_PACKET (CAP_NET_RAW), in a row.
Result<> announce(std::uint32_t device, const model::IpAddress& address,
                  const model::MacAddress& mac);

}  // namespace lbctl::kernel::rtnl
