// Everything that lbctl sets on one node, as wanted by the file or as read from the kernel.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "lbctl/model/address.hpp"
#include "lbctl/model/ipvs.hpp"
#include "lbctl/model/ipvs_node.hpp"
#include "lbctl/model/mptcp.hpp"
#include "lbctl/model/nft.hpp"
#include "lbctl/model/tunnel.hpp"
#include "lbctl/model/units.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::model {

/// lbctl's mark on addresses (IFA_PROTO, Linux 5.18) and routes (rtm_protocol). Not taken in
/// iproute2's rt_protos; the kernel itself uses 0..3 for addresses and 0..4 for routes.
inline constexpr std::uint8_t rtnl_protocol = 76;

struct AddressKey {
  std::string device;
  IpAddress address;
  std::uint8_t prefix = 32;
  std::string text() const;  ///< "192.0.2.100/32 dev lo"
  friend auto operator<=>(const AddressKey&, const AddressKey&) = default;
};

struct AddressSettings {
  std::uint8_t protocol = 0;  ///< IFA_PROTO; rtnl_protocol: ours
  /// Wanted only: tell the segment by gratuitous ARP or unsolicited NA when it is added.
  bool announce = false;
  friend bool operator==(const AddressSettings& a, const AddressSettings& b) {
    return a.protocol == b.protocol;
  }
};

/// Paths below /proc/sys with slashes ("net/ipv4/conf/eth0.100/arp_ignore"): device names may
/// hold dots. Values as the file reads, without the newline.
using SysctlState = std::map<std::string, std::string>;
/// As sysctl(8) writes it: slashes become dots and dots slashes.
std::string sysctl_name(const std::string& path);
/// The first Linux that has it, such as "6.2", where that is later than 6.1; else empty.
std::string_view sysctl_since(std::string_view path);
/// What brings a sysctl of IPVS that is not there; empty for others.
std::string_view ipvs_sysctl_hint(std::string_view path);
/// The same setting? The kernel itself changes some values within one setting.
bool sysctl_equal(std::string_view path, std::string_view a, std::string_view b);
/// A kernel without that sysctl behaves as one in which it has this value.
bool sysctl_absent_is(std::string_view path, std::string_view value);

struct NodeState {
  SysctlState sysctls;
  IpvsState ipvs;
  IpvsNode ipvs_node;
  NftState nft;
  std::map<AddressKey, AddressSettings> addresses;
  MptcpState mptcp;
  XdpState xdp;
  TunnelState tunnels;
  UnitState units;
  friend bool operator==(const NodeState&, const NodeState&) = default;
};

/// What has to be read from the kernel: a node without directors' work must not load ip_vs.
struct Scope {
  std::set<std::string> sysctls;  ///< paths
  bool ipvs = false, nft = false, addresses = true, mptcp = false, xdp = false, tunnels = false;
  /// With `ipvs`: also timeouts and sync daemons.
  bool ipvs_node = false;
  bool units = true;  ///< their drop-ins carry the mark themselves, so that no ledger knows of them
  std::set<IpAddress> sockets;  ///< local addresses whose TCP sockets are to be counted
};

/// What was read: the state, ours and foreign alike, and live figures beside it.
struct Observed {
  NodeState state;
  IpvsCounters ipvs_counters;
  std::optional<SignalCounters> signal_counters;  ///< of lbctl's table, if that is intact
  std::map<IpAddress, std::uint32_t> sockets;     ///< TCP connections by local address, if any
};

}  // namespace lbctl::model
