// What goes slowly, so that no connection is dropped: destinations that are drained, and on a real
// server the addresses and steering entries that live connections still need.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lbctl/model/ipvs.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::model {

/// Seconds since 1970 (CLOCK_REALTIME): deadlines outlive the process that set them.
enum class UnixTime : std::int64_t {};
constexpr std::int64_t number(UnixTime time) {
  return static_cast<std::int64_t>(time);
}

/// One destination of one virtual service.
struct DestinationId {
  ServiceKey service;
  DestinationKey key;
  std::string text() const;  ///< "tcp 192.0.2.100:443 -> 192.0.2.11:443"
  friend auto operator<=>(const DestinationId&, const DestinationId&) = default;
};

/// How a destination leaves: weight 0 until at most `until` connections are left or `deadline`
/// has come, then it is removed.
struct Drain {
  UnixTime deadline{};
  std::uint32_t until = 0;
  bool asked = false;      ///< by `lbctl drain`; otherwise the file no longer wants it
  bool unhealthy = false;  ///< or neither: its checks fail
  friend bool operator==(const Drain&, const Drain&) = default;
};
/// Of a server that failed: at once, or never as long as it fails and has connections.
inline Drain failed_at_once() {
  return {.until = UINT32_MAX, .unhealthy = true};
}
inline Drain failed_with_time() {
  return {.deadline = UnixTime{INT64_MAX}, .unhealthy = true};
}
using Drains = std::map<DestinationId, Drain>;

/// `lbctl drain`: the operator's wish that a server takes no new connections. Kept apart from the
/// file and from what the kernel has, until it is undone.
struct DrainIntent {
  std::string server;
  std::optional<std::string> service;  ///< nothing: every service
  UnixTime since{};
  std::optional<std::uint32_t> seconds;  ///< from then on; nothing: the file's patience
  std::uint32_t until = 0;
  bool persistent = false;  ///< survives a reboot
  Drain drain(std::uint32_t patience) const {
    return {UnixTime{number(since) + seconds.value_or(patience)}, until, true};
  }
  bool same_target(const DrainIntent& other) const {
    return server == other.server && service == other.service;
  }
  friend bool operator==(const DrainIntent&, const DrainIntent&) = default;
};

/// Everything that is on its way out, with the moment at which it goes in any case.
struct Leaving {
  Drains destinations;
  std::map<IpAddress, UnixTime> addresses;  ///< of this node: VIPs, signal addresses
  /// VIPs of a director that services by firewall mark stood for. The kernel does not tell which
  /// connections of such a service came by which VIP.
  std::map<IpAddress, UnixTime> marked_vips;
  std::map<SteeredKey, UnixTime> steered;   ///< QUIC leaves no trace of its connections, so only
  std::map<ServerId, UnixTime> server_ids;  ///< the deadline tells that these may go
  bool empty() const {
    return destinations.empty() && addresses.empty() && marked_vips.empty() && steered.empty() &&
           server_ids.empty();
  }
  friend bool operator==(const Leaving&, const Leaving&) = default;
};

/// How long connections may take to end by themselves, in seconds. UDP has no end that a director
/// could see: its entries stand until they time out.
struct Patience {
  std::uint32_t tcp = 300;
  std::uint32_t udp = 120;
  std::uint32_t steering = 120;  ///< entries of QUIC steering
  friend bool operator==(const Patience&, const Patience&) = default;
};

}  // namespace lbctl::model
