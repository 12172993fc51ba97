// A flow as clients make it: their address and port, ours, and the protocol between.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

struct Flow {
  IpAddress client;
  Port client_port{};
  IpAddress address;  ///< the VIP, or a signal address
  Port port{};
  L4 protocol = L4::tcp;

  /// "198.51.100.7:51000 -> 192.0.2.100:443/tcp"
  std::string text() const;
  /// What text() gives; the arrow may be left out. Both ends have one family.
  static std::optional<Flow> parse(std::string_view text);
  friend auto operator<=>(const Flow&, const Flow&) = default;
};

/// A socket that takes what comes to an address and port.
struct Listener {
  IpAddress address;  ///< 0.0.0.0 and :: take every address
  Port port{};
  bool mptcp = false;    ///< takes MPTCP connections, not plain TCP only
  bool v6_only = false;  ///< ::, but no IPv4
  bool takes(const IpAddress& to) const;
  friend auto operator<=>(const Listener&, const Listener&) = default;
};

}  // namespace lbctl::model
