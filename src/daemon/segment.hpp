// TCP segments without data, and MPTCP's options in them: RFC 9293, 3.1; RFC 8684, 3. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/model/mptcp.hpp"

namespace lbctl::daemon {

inline constexpr std::uint8_t tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;
inline constexpr std::uint8_t option_mss = 2, option_mptcp = 30;

/// What the high half of an MPTCP option's third octet says.
enum class MptcpSubtype : std::uint8_t {
  capable = 0,
  join = 1,
  fastclose = 7,
  reset = 8,
};

struct Segment {
  model::Port from{}, to{};
  std::uint32_t sequence = 0, acknowledged = 0;
  std::uint8_t flags = 0;
  std::string options;  ///< as they stand there, in whole words of 4 octets

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  /// The first MPTCP option of that kind, whole: it has as many octets as its second says, at
  /// least 4. Nothing if there is none, or what stands before it is cut off.
  std::optional<std::string_view> mptcp(MptcpSubtype subtype) const;
};

/// What IP carries; nothing if it is no TCP. Data is left out, the checksum the kernel's to judge.
std::optional<Segment> read_segment(std::string_view octets);

/// An IP packet with this segment, from one end to the other; the checksum of IPv4's header is the
/// kernel's to fill in. Ports are those of the ends.
std::string packet_of(const model::EndpointKey& from, const model::EndpointKey& to,
                      const Segment& segment);

}  // namespace lbctl::daemon
