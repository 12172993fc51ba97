// The MPTCP path manager as the kernel knows it (include/uapi/linux/mptcp_pm.h): endpoints, limits.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// At most 8 endpoints fit in a network namespace (MPTCP_PM_ADDR_MAX); the kernel says ERANGE.
inline constexpr std::size_t max_mptcp_endpoints = 8;

/// The kernel holds one endpoint per address and port. Port 0: no port of its own, the announced
/// subflows use the port of the connection.
struct EndpointKey {
  IpAddress address;
  Port port{};
  std::string text() const;  ///< "192.0.2.111" or "192.0.2.100:44301"
  friend auto operator<=>(const EndpointKey&, const EndpointKey&) = default;
};

struct Endpoint {
  bool signal = false;    ///< MPTCP_PM_ADDR_FLAG_SIGNAL: announced with ADD_ADDR
  bool subflow = false;   ///< MPTCP_PM_ADDR_FLAG_SUBFLOW
  bool backup = false;    ///< MPTCP_PM_ADDR_FLAG_BACKUP
  bool fullmesh = false;  ///< MPTCP_PM_ADDR_FLAG_FULLMESH
  std::string device;     ///< empty: none
  /// The id that the kernel chose; 0 when not known. Takes no part in equality.
  std::uint8_t id = 0;
  std::string text() const;  ///< "signal dev eth0", as ip-mptcp(8) words it
  friend bool operator==(const Endpoint& a, const Endpoint& b) {
    return a.signal == b.signal && a.subflow == b.subflow && a.backup == b.backup &&
           a.fullmesh == b.fullmesh && a.device == b.device;
  }
};

/// Per network namespace, 0..8 each; the kernel starts with subflows 2, add_addr_accepted 0.
struct MptcpLimits {
  std::uint32_t subflows = 2;
  std::uint32_t add_addr_accepted = 0;
  friend bool operator==(const MptcpLimits&, const MptcpLimits&) = default;
};

struct MptcpState {
  std::map<EndpointKey, Endpoint>
      endpoints;  // IPv4 first: announced in this order (lab: v4 clients need it)
  std::optional<MptcpLimits> limits;  ///< desired: nothing means "leave as they are"
  friend bool operator==(const MptcpState&, const MptcpState&) = default;
};

}  // namespace lbctl::model
