// An Ethernet frame in words: which flow it is of, and which connection ID it carries. For frames
// off the network: every length in them is doubted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lbctl/explain/cid.hpp"
#include "lbctl/model/flow.hpp"

namespace lbctl::explain {

/// A UDP datagram, maybe in up to two VLAN tags (802.1Q, 802.1ad) and maybe in another IP packet
/// (RFC 2003, RFC 2473).
struct Frame {
  model::MacAddress from;
  model::MacAddress to;
  model::Flow flow;
  std::optional<model::IpAddress> wrapped_for;  ///< destination of the outer IP header
  bool long_header = false;                     ///< RFC 8999
  /// A long header's destination connection ID. A short header does not tell how long its is: up to
  /// 20 octets, of which it is the beginning. Nothing: the datagram ends before.
  std::optional<Octets> cid;
};

/// Nothing: not UDP, a fragment, or too short for what it says of itself.
std::optional<Frame> read_frame(std::span<const std::uint8_t> octets);

}  // namespace lbctl::explain
