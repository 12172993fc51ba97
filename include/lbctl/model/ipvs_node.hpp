// What IPVS holds once for the whole network namespace: its timeouts and the daemons that keep the
// connection tables of several directors alike (include/uapi/linux/ip_vs.h).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// How long an entry of the connection table lives without a packet, in seconds
/// (IPVS_CMD_SET_CONFIG). 0: left as it is, which is also what the kernel takes it for.
struct IpvsTimeouts {
  std::uint32_t tcp = 0;
  std::uint32_t tcp_fin = 0;
  std::uint32_t udp = 0;
  bool empty() const { return tcp == 0 && tcp_fin == 0 && udp == 0; }
  /// These, and for the ones that are 0 those of `other`.
  IpvsTimeouts or_else(const IpvsTimeouts& other) const {
    return {tcp != 0 ? tcp : other.tcp, tcp_fin != 0 ? tcp_fin : other.tcp_fin,
            udp != 0 ? udp : other.udp};
  }
  /// Those of these that are not 0 and differ in `other`.
  IpvsTimeouts differing(const IpvsTimeouts& other) const {
    return {tcp != other.tcp ? tcp : 0, tcp_fin != other.tcp_fin ? tcp_fin : 0,
            udp != other.udp ? udp : 0};
  }
  /// Those that are not 0 in `which`.
  IpvsTimeouts only(const IpvsTimeouts& which) const {
    return {which.tcp != 0 ? tcp : 0, which.tcp_fin != 0 ? tcp_fin : 0, which.udp != 0 ? udp : 0};
  }
  friend bool operator==(const IpvsTimeouts&, const IpvsTimeouts&) = default;
};

/// IP_VS_STATE_*. The kernel runs at most one daemon of each role in a network namespace.
enum class SyncRole : std::uint8_t { master = 1, backup = 2 };
std::string_view name(SyncRole role);

/// A connection sync daemon. Nothing of it can be changed while it runs.
struct SyncDaemon {
  std::string device;
  std::uint8_t id = 0;
  std::uint16_t max_length = 0;  ///< octets of sync data in a packet
  IpAddress group;               ///< multicast
  Port port{};
  std::uint8_t ttl = 1;
  friend auto operator<=>(const SyncDaemon&, const SyncDaemon&) = default;
};

struct IpvsNode {
  /// As wanted: 0 for those that stay as they are. As read: all of them, or nothing if not read.
  IpvsTimeouts timeouts;
  std::map<SyncRole, SyncDaemon> daemons;
  bool empty() const { return timeouts.empty() && daemons.empty(); }
  friend bool operator==(const IpvsNode&, const IpvsNode&) = default;
};

}  // namespace lbctl::model
