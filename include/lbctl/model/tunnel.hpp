// The far end of a tunnel: devices on a real server that unpack what directors send it by IPVS
// tunnelling, from any sender.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// By the kernel's names (IFLA_INFO_KIND).
enum class TunnelKind : std::uint8_t { ipip, ip6tnl, gre, ip6gre };
std::string_view name(TunnelKind kind);
std::optional<TunnelKind> tunnel_kind(std::string_view name);

struct TunnelDevice {
  TunnelKind kind = TunnelKind::ipip;
  IpAddress local;                  ///< the node's own address, to which the outer packets come
  std::optional<IpAddress> remote;  ///< nothing: from anybody
  /// GRE with a checksum. The kernel drops packets that have one where it is off, and vice versa.
  bool checksum = false;
  bool up = true;
  /// net.ipv4.conf.DEVICE.rp_filter. The way back to a client never leads into the tunnel.
  std::uint32_t rp_filter = 0;
  /// Equal but for what can be changed while it stands (up, rp_filter)?
  bool same_ends(const TunnelDevice& other) const {
    return kind == other.kind && local == other.local && remote == other.remote &&
           checksum == other.checksum;
  }
  friend bool operator==(const TunnelDevice&, const TunnelDevice&) = default;
};

/// A UDP port of which the kernel itself takes the packets (net/ipv4/fou_core.c).
struct FouKey {
  Family family = Family::v4;
  Port port{};
  std::string text() const;  ///< "udp port 6080 IPv4"
  friend auto operator<=>(const FouKey&, const FouKey&) = default;
};

struct FouPort {
  bool gue = true;  ///< Generic UDP Encapsulation; otherwise plain foo-over-UDP
  friend bool operator==(const FouPort&, const FouPort&) = default;
};

struct TunnelState {
  std::map<std::string, TunnelDevice> devices;  ///< by name; of the kinds above only
  std::map<FouKey, FouPort> ports;
  bool empty() const { return devices.empty() && ports.empty(); }
  friend bool operator==(const TunnelState&, const TunnelState&) = default;
};

}  // namespace lbctl::model
