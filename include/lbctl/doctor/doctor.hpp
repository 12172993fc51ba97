// What is wrong with a node, or may be, and what mends it. Pure: from what was read.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/config/config.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/model/diagnosis.hpp"
#include "lbctl/model/facts.hpp"
#include "lbctl/model/operation.hpp"

namespace lbctl::doctor {

enum class Severity : std::uint8_t {
  error,    ///< clients suffer from it
  warning,  ///< they will, in a case that comes up
  doubt,    ///< perhaps: from here it cannot be seen. Alone it does not make a node sick
};
std::string_view name(Severity severity);

struct Finding {
  std::string id;  ///< stable: "listener-plain-tcp"
  Severity severity = Severity::warning;
  std::vector<std::string> evidence;  ///< what was seen, at least one
  std::string consequence;
  std::string mend;                   ///< in words
  std::vector<std::string> commands;  ///< the mend as lines for a root shell; empty: none
  /// The mend where it is safe: settings that nothing is lost by. Then `commands` is empty, as it
  /// follows from this.
  std::vector<model::Action> fix;
};

enum class Tick : std::uint8_t { yes, no, elsewhere };
std::string_view name(Tick tick);

/// A line of the checklist for owners of CDNs, https://www.mptcp.dev/load-balancer.html
struct Check {
  std::string item;
  Tick tick = Tick::elsewhere;
  std::string why;
};

/// What a look at something failed with. `id` as in Finding.
struct Unread {
  std::string id, what;
  Error error;
};

/// What was read beside the state.
struct Facts {
  model::NodeFacts node;
  model::SysctlState sysctls;              ///< sysctls_of() and whatever else
  std::vector<model::OpenSocket> sockets;  ///< on a real server
  std::vector<model::FilterRule> rules;    ///< of others
  /// Who answers ARP or neighbour solicitations for the VIPs, the node itself left out; on a
  /// director.
  std::map<model::IpAddress, std::set<model::MacAddress>> holders;
  std::map<model::IpAddress, model::NextHop> next_hops;  ///< to far_client(), if there is a route
  /// Of near_servers(): who gets short packets and none as long as the MTU of the node's interface.
  std::set<model::IpAddress> narrow;
  std::string config_hash;  ///< of the file, see config::Loaded
  /// Other nodes whose daemons answered, by name.
  std::map<std::string, model::Peer> peers;
  model::MachineFacts machine;
  /// Whom the machine is taken for without --node; empty: for nobody.
  std::string recognised;
  std::vector<Unread> unread;
};

/// The sysctls that examine() looks at, whatever the file says of them.
std::set<std::string> sysctls_of(const config::Config& config, const config::Desired& desired);

/// The VIPs for which only this director may answer on its client interfaces.
std::set<model::IpAddress> probed_vips(const config::Config& config, const config::Desired& desired,
                                       model::Family family);

/// The other servers, one address each, that get packets from this node as they are: what is longer
/// than theirs may be is lost.
std::map<model::IpAddress, std::string> near_servers(const config::Config& config,
                                                     const config::Desired& desired);

/// Where other nodes serve metrics that can be read from here, by name. A loopback address is none.
std::map<std::string, std::vector<model::MetricsPlace>> peer_places(const config::Config& config,
                                                                    const std::string& node);

/// An address somewhere on the internet (RFC 5737, RFC 3849): how clients are answered.
model::IpAddress far_client(model::Family family);

struct Patient {
  const config::Config& config;
  const config::Desired& desired;
  const model::NodeState& ours;
  const model::NodeState& foreign;
  std::span<const model::Operation> pending;  ///< what apply would do
  std::span<const Error> refusals;            ///< why it would not
  const Facts& facts;
};

struct Report {
  std::vector<Finding> findings;  ///< errors first, then warnings, then doubts
  std::vector<Check> checklist;   ///< the same lines on every node
  bool sick() const;              ///< more than doubts
};

Report examine(const Patient& patient);

}  // namespace lbctl::doctor
