// QUIC steering on a real server: which services are steered, how their connection IDs are read,
// and where each server id is.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/model/address.hpp"
#include "lbctl/model/cid.hpp"

namespace lbctl::model {

struct SteeredKey {
  IpAddress address;  ///< the VIP
  Port port{};        ///< UDP
  std::string text() const { return endpoint_text(address, port); }
  friend auto operator<=>(const SteeredKey&, const SteeredKey&) = default;
};

/// How the connection IDs of a service are read: by the first of these that fits. At most 8.
using CidSchemes = std::vector<CidScheme>;

struct SteeredService {
  CidSchemes cids;
  /// Long headers (handshakes, and all that comes before) stay where IPVS sent them.
  bool keep_long = false;
  bool drop_unknown = false;  ///< ids that no server has: drop instead of pass
  friend bool operator==(const SteeredService&, const SteeredService&) = default;
};

/// IP in IP to a server beyond a router. Its address is also one that tunnelled packets come from.
struct SteerTunnel {
  IpAddress source;       ///< this node's
  IpAddress destination;  ///< the server's, of the same family
  std::uint32_t mtu = 0;  ///< octets that an outer packet may have; what is longer is passed
  friend bool operator==(const SteerTunnel&, const SteerTunnel&) = default;
};

struct SteerTarget {
  bool local = false;  ///< this very node: the packet goes to its stack
  /// Remote: the next hop, which without a tunnel is the server itself; zero until resolved (then
  /// packets are passed and counted).
  MacAddress mac;
  std::optional<SteerTunnel> tunnel;
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
  std::map<SteeredKey, SteeredService> services;
  std::map<ServerId, SteerTarget> servers;
  /// Read back only: XDP programs that are not lbctl's, by device: the program's name.
  std::map<std::string, std::string> foreign;
  friend bool operator==(const XdpState&, const XdpState&) = default;
};

}  // namespace lbctl::model
