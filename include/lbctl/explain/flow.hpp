// What becomes of a flow on a node: which rule has it, and why. Pure: from what was read.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/explain/cid.hpp"
#include "lbctl/model/flow.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::explain {

/// A line of the explanation: which part of the node speaks, and what it says.
struct Step {
  std::string part;  ///< "guard", "signal", "mark", "connection", "service", "scheduler", …
  std::string says;
  friend bool operator==(const Step&, const Step&) = default;
};

enum class Verdict : std::uint8_t {
  to_server,  ///< `server` gets it
  depends,    ///< on what cannot be told from here; the steps say on what
  local,      ///< this node's own stack takes it
  refused,    ///< nobody does
  not_here,   ///< nothing on this node is about it
};
std::string_view name(Verdict verdict);

struct Explanation {
  std::vector<Step> steps;
  Verdict verdict = Verdict::not_here;
  std::optional<model::IpAddress> server;  ///< with to_server, on a director
  std::string server_name;                 ///< likewise on a real server, which steers by id
};

/// What the explanation of a director looks at.
struct DirectorView {
  const model::NodeState& state;                    ///< as read from the kernel
  const model::IpvsCounters& counters;              ///< for the order of destinations
  std::optional<model::IpvsConnection> connection;  ///< the flow's entry, if there is one
  /// Of a destination that takes no new connections: its weight before, as far as the file tells.
  std::function<model::Weight(const model::ServiceKey&, const model::DestinationKey&)>
      weight_before;
  /// "rs1 (192.0.2.11)"
  std::function<std::string(const model::IpAddress&)> server_name;
};
Explanation explain_on_director(const model::Flow& flow, const DirectorView& view);

/// What the explanation of a real server looks at.
struct ServerView {
  const model::NodeState& state;
  std::vector<model::Listener> listeners;  ///< of the flow's port and protocol
  std::optional<Octets> cid;               ///< of the packet, if it was named
  std::function<std::string(const model::ServerId&)> server_name;
};
Explanation explain_on_server(const model::Flow& flow, const ServerView& view);

/// What the guard's rules say of the first packet of a TCP flow; of either kind of node.
std::vector<Step> guard_steps(const model::Flow& flow, const model::NodeState& state);

}  // namespace lbctl::explain
