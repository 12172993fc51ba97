// What lbctl's own nftables tables on a director do. One brings each real server's MPTCP signal
// address home at ingress, before routing and before IPVS, without state. The other gives packets
// the firewall mark that their virtual service goes by, and keeps conntrack from them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lbctl/model/address.hpp"
#include "lbctl/model/mptcp.hpp"

namespace lbctl::model {

/// The name of every table that lbctl owns; the family tells them apart.
inline constexpr const char* nft_table_name = "lbctl";

struct ForwardTarget {
  /// The real server's own address: the next hop that is resolved to a MAC. Nothing: not brought
  /// home here (IPVS does it), only guarded.
  std::optional<IpAddress> server;
  bool join_only = false;  ///< a SYN without MP_JOIN is dropped
  friend bool operator==(const ForwardTarget&, const ForwardTarget&) = default;
};

enum class RateUnit : std::uint8_t { second, minute, hour };
std::string_view name(RateUnit unit);
std::uint64_t seconds(RateUnit unit);

/// A token bucket: `burst` at once, and so many in each unit of time.
struct Rate {
  std::uint32_t packets = 0;
  RateUnit per = RateUnit::second;
  std::uint32_t burst = 0;
  std::string text() const;  ///< "200/second burst 400"
  friend bool operator==(const Rate&, const Rate&) = default;
};

/// How many SYNs a source may send; what is above is dropped.
struct SourceLimit {
  Rate rate;
  std::uint8_t prefix = 0;   ///< sources that are equal up to here count as one
  std::set<EndpointKey> to;  ///< with a port, of one family, at least one
  friend bool operator==(const SourceLimit&, const SourceLimit&) = default;
};

/// Table `netdev lbctl`: base chains at ingress of the client devices, a map per family and kind.
struct SignalForward {
  std::set<std::string> client_devices;  ///< where client traffic arrives
  /// Towards the real servers. Empty on a real server: there the table guards, and forwards
  /// nothing.
  std::string server_device;
  /// What a real server announces -> that server. Port 0: all of the address; with a port the
  /// address is a VIP, and IPv4.
  std::map<EndpointKey, ForwardTarget> addresses;
  std::set<EndpointKey> mptcp_only;           ///< a SYN to these without MPTCP is dropped
  std::map<std::string, SourceLimit> limits;  ///< by a name that nft takes: "syn4_web"
  /// Everything but the addresses, which are changed one by one.
  bool same_rules(const SignalForward& other) const {
    return client_devices == other.client_devices && server_device == other.server_device &&
           mptcp_only == other.mptcp_only && limits == other.limits;
  }
  friend bool operator==(const SignalForward&, const SignalForward&) = default;
};

/// Packets since that table was made.
struct SignalCounters {
  std::map<EndpointKey, std::uint64_t> brought_home;  ///< ICMP about them as well
  std::uint64_t not_joins = 0;  ///< dropped: SYNs without MP_JOIN to what takes joins only
  std::uint64_t not_mptcp = 0;  ///< dropped: SYNs without MPTCP to what takes MPTCP only
  std::uint64_t over_rate = 0;  ///< dropped: SYNs above a limit
  std::uint64_t fragments = 0;  ///< dropped: pieces that could hide a SYN
  friend bool operator==(const SignalCounters&, const SignalCounters&) = default;
};

/// Both ends belong to it.
struct PortRange {
  Port first{}, last{};
  std::string text() const;  ///< "443", "8000-8100", "all ports"
  bool overlaps(const PortRange& other) const { return first <= other.last && other.first <= last; }
  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};
inline constexpr PortRange all_ports{Port{0}, Port{65535}};

/// Some ports of a VIP. The kernel's map takes no two that overlap.
struct MarkKey {
  IpAddress address;
  L4 protocol = L4::tcp;
  PortRange ports;
  std::string text() const;  ///< "tcp 192.0.2.100:8000-8100"
  bool overlaps(const MarkKey& other) const {
    return address == other.address && protocol == other.protocol && ports.overlaps(other.ports);
  }
  friend auto operator<=>(const MarkKey&, const MarkKey&) = default;
};

/// What is put on packets before routing and IPVS see them; one of the two at least.
struct Mark {
  std::uint32_t value;  ///< the firewall mark; 0: stays as it is
  bool untracked;       ///< conntrack does not look at them
  Mark(std::uint32_t mark = 0, bool off_conntrack = false)
      : value(mark), untracked(off_conntrack) {}
  std::string text() const;  ///< "7", "untracked", "7, untracked"
  friend bool operator==(const Mark&, const Mark&) = default;
};

/// Table `inet lbctl`: what comes to these gets that.
using Marks = std::map<MarkKey, Mark>;

/// The chains of that table, at prerouting.
struct MarkChains {
  bool marking = false;     ///< after conntrack
  bool untracking = false;  ///< before it
  friend bool operator==(const MarkChains&, const MarkChains&) = default;
};
MarkChains chains_for(const Marks& marks);

/// The tables as wanted, or as read back. `intact` is only read back: the chains and rules are to
/// the letter those that lbctl makes. False after a hand edit, an older lbctl, or a device that
/// went away and took its hook along.
struct NftState {
  std::optional<SignalForward> forward;  ///< nothing: the table does not exist
  bool intact = true;
  std::optional<Marks> marks;  ///< nothing: the table does not exist
  bool marks_intact = true;
  friend bool operator==(const NftState&, const NftState&) = default;
};

}  // namespace lbctl::model
