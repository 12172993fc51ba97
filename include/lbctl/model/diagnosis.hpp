// What a node holds beside what lbctl sets, as far as it can stand in lbctl's way: sockets and
// their processes, rules of other firewalls, the machine itself.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "lbctl/model/flow.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::model {

struct Process {
  int pid = 0;
  std::string command;       ///< /proc/PID/comm: at most 15 octets
  std::string unit;          ///< of systemd, such as "nginx.service"; empty: none
  std::string text() const;  ///< "nginx (pid 812, nginx.service)"
  friend auto operator<=>(const Process&, const Process&) = default;
};

/// A socket that waits for what clients send, and whose it is.
struct OpenSocket {
  Listener listener;
  L4 protocol = L4::tcp;
  std::uint32_t inode = 0;
  std::optional<Process> owner;  ///< nothing: the kernel itself, or a process that cannot be seen
  /// UDP: it is told to which address a packet was sent (IP_PKTINFO and the like), so that it can
  /// answer from there. Nothing: could not be asked.
  std::optional<bool> learns_destination;
};

/// A rule in an nftables table that is not lbctl's.
struct FilterRule {
  enum class Kind : std::uint8_t {
    drops_invalid,  ///< what conntrack calls invalid is dropped or refused
    reverse_path,   ///< dropped is what would not be answered by the device that it came in by
  };
  Kind kind = Kind::drops_invalid;
  std::string family, table, chain;  ///< "inet", "filter", "input"
  std::string hook;                  ///< of the chain: "prerouting", "input"; empty: another's part
  std::uint64_t handle = 0;          ///< in its table
  std::string text() const;          ///< "inet filter input handle 5"
  friend auto operator<=>(const FilterRule&, const FilterRule&) = default;
};

/// The machine below the network namespace.
struct MachineFacts {
  std::string release;                  ///< of the kernel: "6.1.0-49-amd64"
  std::uint64_t capabilities = 0;       ///< bits of CAP_*, in force for this process
  std::optional<bool> clock_in_sync;    ///< nothing: the kernel does not tell
  std::set<std::string> modules;        ///< loaded or built in or on the disk, with underscores
  bool modules_known = false;           ///< else `modules` holds only the loaded ones
  std::set<std::string> path_managers;  ///< that run: "mptcpd", "NetworkManager"
  /// Tables of iptables-legacy and ip6tables-legacy in this network namespace: "filter".
  std::map<Family, std::set<std::string>> legacy_tables;
};

/// CidKey::check() by service, as SteeredKey::text() has it, and place among its schemes.
using KeyChecks = std::map<std::pair<std::string, std::size_t>, std::string>;
KeyChecks key_checks(const XdpState& state);

/// Where a daemon serves its metrics, and what another node has by them.
struct MetricsPlace {
  IpAddress address;
  Port port{};
  std::string url() const;  ///< "http://192.0.2.12:9476/metrics"
  friend bool operator==(const MetricsPlace&, const MetricsPlace&) = default;
};
struct Peer {
  MetricsPlace place;
  std::string config_hash;  ///< of the file in force there, see config::Loaded
  KeyChecks key_checks;     ///< of what its last round wanted
};

}  // namespace lbctl::model
