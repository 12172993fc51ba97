// Packets to send through the table, octet by octet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/model/address.hpp"
#include "rtnl_capture.hpp"

namespace lbctl::tests {

inline constexpr std::uint8_t tcp_syn = 0x02, tcp_ack = 0x10;
/// TCP options (RFC 8684): kind 30, length, subtype in the upper 4 bits.
inline const Frame mp_join = hex("1e0c 1001 01020304 05060708");
inline const Frame mp_capable = hex("1e04 0101");

struct Packet {
  model::IpAddress from, to;
  std::uint8_t protocol = 0;
  Frame payload;
  std::uint8_t hop_limit = 64;
  /// In octets, a multiple of 8; set: the packet is a piece that is not the first.
  std::optional<std::uint16_t> fragment_offset;
  /// Tells packets apart: the IPv4 identification, the IPv6 flow label.
  std::uint16_t mark = 0;

  static Packet tcp(const model::IpAddress& from, const model::IpAddress& to, int flags,
                    const Frame& options = {});
  static Packet udp(const model::IpAddress& from, const model::IpAddress& to);
  static Packet icmp(const model::IpAddress& from, const model::IpAddress& to, std::uint8_t type);
  /// With its Ethernet header.
  Frame frame(const std::string& to_mac, const std::string& from_mac) const;
};

bool is_from_to(const Frame& frame, const std::string& from_mac, const std::string& to_mac);
std::uint16_t mark_of(const Frame& frame);  ///< 0 if it is no IP packet
std::uint8_t hop_limit_of(const Frame& frame);
/// IPv4: the header's checksum fits; IPv6 has none.
bool ip_header_sum_is_right(const Frame& frame);

}  // namespace lbctl::tests
