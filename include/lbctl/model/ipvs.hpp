// IPVS as the kernel knows it (include/uapi/linux/ip_vs.h): virtual services and destinations.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// Which virtual service this is. Equal keys mean the same kernel object; everything in
/// VirtualService may change without recreating it.
/// A service is either protocol:address:port, or (fwmark != 0) a firewall mark in one family, and
/// then address (0.0.0.0 or ::), protocol and port carry nothing but the family.
struct ServiceKey {
  IpAddress address;
  L4 protocol = L4::tcp;
  Port port{};
  std::uint32_t fwmark = 0;
  std::string text() const;  ///< "tcp 192.0.2.100:443", "fwmark 7 IPv6"
  friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};

/// The key of a service by firewall mark.
ServiceKey fwmark_service(std::uint32_t fwmark, Family family);

struct DestinationKey {
  IpAddress address;
  Port port{};
  std::string text() const { return endpoint_text(address, port); }
  friend auto operator<=>(const DestinationKey&, const DestinationKey&) = default;
};

/// How a packet reaches the destination (IP_VS_CONN_F_FWD_MASK).
enum class Forward : std::uint8_t { masquerade = 0, local = 1, tunnel = 2, route = 3 };
std::string_view name(Forward forward);  ///< ipvsadm's word; `route` is what lbctl calls "dr"

/// 0..65535; 0 takes no new connections (a drain).
enum class Weight : std::uint16_t {};
constexpr std::uint16_t number(Weight weight) {
  return static_cast<std::uint16_t>(weight);
}

/// What a tunnelled packet is wrapped in (IP_VS_CONN_F_TUNNEL_TYPE_*, Linux 5.3).
enum class TunnelType : std::uint8_t { ipip = 0, gue = 1, gre = 2 };
std::string_view name(TunnelType type);

/// IP_VS_TUNNEL_ENCAP_FLAG_*: over which octets the outer header carries a checksum.
enum class TunnelChecksum : std::uint8_t {
  none = 0,
  full = 1,    ///< gue: that of UDP; gre: that of GRE
  remote = 2,  ///< gue: remote checksum offload
};
std::string_view name(TunnelChecksum checksum);

struct Tunnel {
  TunnelType type = TunnelType::ipip;
  Port port{};  ///< gue: the UDP port to which the packets go
  TunnelChecksum checksum = TunnelChecksum::none;
  friend auto operator<=>(const Tunnel&, const Tunnel&) = default;
};

struct Destination {
  Weight weight{};
  Forward forward = Forward::route;
  std::uint32_t upper_threshold = 0;  ///< connections; 0: none
  /// One that reached the upper one takes new connections again below this; 0: below 3/4 of it.
  std::uint32_t lower_threshold = 0;
  Tunnel tunnel{};  ///< only with Forward::tunnel
  friend bool operator==(const Destination&, const Destination&) = default;
};

/// IP_VS_SVC_F_*; what sched1..sched3 mean depends on the scheduler.
struct ServiceFlags {
  bool persistent = false;  ///< IP_VS_SVC_F_PERSISTENT
  bool one_packet = false;  ///< IP_VS_SVC_F_ONEPACKET
  bool sched1 = false;      ///< sh-fallback, mh-fallback
  bool sched2 = false;      ///< sh-port, mh-port
  bool sched3 = false;
  friend bool operator==(const ServiceFlags&, const ServiceFlags&) = default;
};

/// The settings of a virtual service and its destinations.
struct VirtualService {
  std::string scheduler = "wlc";  ///< the kernel's module name without "ip_vs_"
  ServiceFlags flags;
  std::uint32_t persistence_timeout = 0;  ///< seconds; only with flags.persistent
  /// Prefix length by which clients are grouped under persistence: 32 or 128 means each alone.
  std::uint8_t persistence_prefix = 32;
  std::map<DestinationKey, Destination> destinations;  // ordered: plans print the same way
  /// Equal but for the destinations?
  bool same_settings(const VirtualService& other) const;
  friend bool operator==(const VirtualService&, const VirtualService&) = default;
};

using IpvsState = std::map<ServiceKey, VirtualService>;

/// Live figures of one destination; they take no part in equality of the state.
struct DestinationCounters {
  std::uint32_t active_connections = 0;
  std::uint32_t inactive_connections = 0;
  std::uint64_t connections = 0, packets_in = 0, bytes_in = 0;
  std::uint32_t place = 0;  ///< in the kernel's list of the service's destinations
};
using IpvsCounters = std::map<std::pair<ServiceKey, DestinationKey>, DestinationCounters>;

/// An entry of the table of connections: where the packets of a flow go.
struct IpvsConnection {
  DestinationKey destination;
  std::string state;          ///< the kernel's word: "ESTABLISHED", "UDP", …
  std::uint32_t expires = 0;  ///< seconds
  friend bool operator==(const IpvsConnection&, const IpvsConnection&) = default;
};

/// Every scheduler of Linux 6.12 with what its flag bits are called by ipvsadm(8); an empty name
/// means that the bit has no meaning for it.
struct SchedulerInfo {
  std::string_view name;
  std::string_view flag1, flag2;
};
const std::vector<SchedulerInfo>& schedulers();
const SchedulerInfo* find_scheduler(std::string_view name);
/// ipvsadm's words for the scheduler bits that are set, such as {"mh-fallback", "mh-port"}.
std::vector<std::string> scheduler_flag_names(const VirtualService& service);

}  // namespace lbctl::model
