// What lbctl's own nftables table on a director does: it brings each real server's MPTCP signal
// address home at ingress, before routing and before IPVS, without state.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// The name of every table that lbctl owns; the family tells them apart.
inline constexpr const char* nft_table_name = "lbctl";

struct ForwardTarget {
  IpAddress server;        ///< its own address: the next hop that is resolved to a MAC
  bool join_only = false;  ///< a SYN without MP_JOIN is dropped
  friend bool operator==(const ForwardTarget&, const ForwardTarget&) = default;
};

/// Table `netdev lbctl`: base chains at ingress of the client devices, a map per family.
struct SignalForward {
  std::set<std::string> client_devices;          ///< where client traffic arrives
  std::string server_device;                     ///< towards the real servers
  std::map<IpAddress, ForwardTarget> addresses;  ///< signal address -> real server
  friend bool operator==(const SignalForward&, const SignalForward&) = default;
};

/// The table as wanted, or as read back.
struct NftState {
  std::optional<SignalForward> forward;  ///< nothing: the table does not exist
  /// Read back only: the chains and rules are to the letter those that lbctl makes for `forward`.
  /// False after a hand edit, an older lbctl, or a device that went away and took its hook along.
  bool intact = true;
  friend bool operator==(const NftState&, const NftState&) = default;
};

}  // namespace lbctl::model
