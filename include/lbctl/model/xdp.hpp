// QUIC steering on a real server: which services are steered, how their connection IDs are read,
// and where each server id is (draft-ietf-quic-load-balancers-21).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// A plaintext QUIC-LB connection ID: one octet (3 config bits, 5 bits of length or noise), the
/// server id in network order, the nonce. Lengths in octets.
struct CidScheme {
  std::uint8_t config = 0;        ///< 0..6 (0b111 is never routable)
  std::uint8_t id_length = 2;     ///< 1..8 here (the draft allows 15)
  std::uint8_t nonce_length = 6;  ///< 4..18; 1 + id + nonce <= 20
  std::uint8_t cid_length() const {
    return static_cast<std::uint8_t>(1 + id_length + nonce_length);
  }
  friend bool operator==(const CidScheme&, const CidScheme&) = default;
};

struct SteeredKey {
  IpAddress address;  ///< the VIP
  Port port{};        ///< UDP
  std::string text() const { return endpoint_text(address, port); }
  friend auto operator<=>(const SteeredKey&, const SteeredKey&) = default;
};

/// 1..2^63-1; 0 is reserved (a zeroed CID must not name a server).
enum class ServerId : std::uint64_t {};
constexpr std::uint64_t number(ServerId id) {
  return static_cast<std::uint64_t>(id);
}

struct SteerTarget {
  bool local = false;  ///< this very node: the packet goes to its stack
  MacAddress
      mac;  ///< remote: next hop on the same segment; zero until resolved (then PASS, counted)
  friend bool operator==(const SteerTarget&, const SteerTarget&) = default;
};

/// `automatic`: native where the driver is known to deliver what XDP_TX sends, else generic.
enum class XdpMode : std::uint8_t { automatic, native, generic };
std::string_view name(XdpMode mode);

struct XdpAttachment {
  XdpMode mode = XdpMode::automatic;
  std::string program;  ///< digest of the BPF object: tells whether an older lbctl's program runs
  bool operator==(const XdpAttachment&) const = default;
  /// An attachment read back satisfies a wanted one: same program, and the mode if one was named.
  bool satisfies(const XdpAttachment& wanted) const {
    return program == wanted.program && (wanted.mode == XdpMode::automatic || wanted.mode == mode);
  }
};

struct XdpState {
  std::map<std::string, XdpAttachment> attachments;  ///< by device; lbctl's own only
  std::map<SteeredKey, CidScheme> services;
  std::map<ServerId, SteerTarget> servers;
  /// Read back only: XDP programs that are not lbctl's, by device: the program's name.
  std::map<std::string, std::string> foreign;
  friend bool operator==(const XdpState&, const XdpState&) = default;
};

}  // namespace lbctl::model
