// Builds UDP packets octet by octet, with every checksum computed in full: what the XDP program
// did by increments is compared with this.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "lbctl/model/address.hpp"

namespace lbctl::tests {

using Bytes = std::vector<std::uint8_t>;

Bytes hex(std::string_view digits);
model::IpAddress ip(std::string_view text);
model::MacAddress mac(std::string_view text);  ///< "02:00:00:00:00:01"

/// One Ethernet frame with IP and UDP, or ICMP; the family is that of the addresses.
struct Frame {
  model::MacAddress to = mac("02:00:00:00:00:01");
  model::MacAddress from = mac("02:00:00:00:00:fe");
  model::IpAddress source = ip("198.51.100.7");
  model::IpAddress destination = ip("192.0.2.100");
  std::uint16_t source_port = 40000;
  std::uint16_t port = 443;
  std::uint8_t ttl = 64;
  std::uint16_t ip_id = 0x1234;     ///< IPv4
  std::uint16_t fragment = 0x4000;  ///< IPv4: flags and offset (DF)
  Bytes options;                    ///< IPv4 options, or an IPv6 extension header
  std::uint8_t next_header = 17;    ///< of IPv6, where `options` holds an extension header
  std::vector<std::uint16_t> tags;  ///< EtherTypes of VLAN tags, the outer one first
  Bytes icmp;                       ///< not empty: this ICMP message stands in place of UDP
  Bytes payload;

  Bytes bytes() const;
};

/// The same frame with its packet inside another, from `source` to `destination` (RFC 2003, 2473,
/// 4213): what a tunnel makes of it, but for the Ethernet addresses.
Bytes wrapped(const Frame& frame, const model::IpAddress& source,
              const model::IpAddress& destination);
/// Its header alone, around `length` octets of `protocol`.
Bytes outer_header(const model::IpAddress& source, const model::IpAddress& destination,
                   std::size_t length, std::uint8_t protocol);

/// An ICMP error about a packet, of which `quoted` octets (or all there are) are in it.
Bytes icmp_error(std::uint8_t type, const Frame& about, std::size_t quoted = 2000);

/// A short-header QUIC packet: `first` octet, connection ID, and `rest` octets after it.
Bytes short_packet(const Bytes& cid, std::size_t rest = 40, std::uint8_t first = 0x40);
/// A long-header packet: the same with version, DCID with its length, and SCID of 5 octets.
Bytes long_packet(const Bytes& cid, std::uint32_t version = 1, std::uint8_t first = 0xc0);

/// A server's long-header packet to a client: the server's own connection ID is its SCID.
Bytes server_packet(const Bytes& dcid, const Bytes& scid);

Bytes join(std::initializer_list<Bytes> parts);

}  // namespace lbctl::tests
