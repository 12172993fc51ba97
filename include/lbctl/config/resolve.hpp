// From the file to what one node should hold. Pure: the same Config, node and facts always give
// the same state; nothing is read from the kernel here.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/config/config.hpp"
#include "lbctl/model/facts.hpp"
#include "lbctl/model/health.hpp"
#include "lbctl/model/leaving.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::config {

enum class Role : std::uint8_t { director, real_server };
std::string_view name(Role role);  ///< "director" or "real server"

struct Desired {
  std::string node;
  Role role = Role::director;
  model::NodeState state;    ///< without the destinations that are to be drained
  model::Drains drains;      ///< those, and those that failed; on a director
  model::Patience patience;  ///< the file's
  std::vector<std::string> warnings;
  /// Addresses whose Ethernet address must be known on `interface` for the state to be whole: to
  /// be resolved, and then resolve() called again with the new facts. Also those already known.
  std::vector<model::IpAddress> neighbours_wanted;
  std::string interface;  ///< towards the other nodes
};

/// Which node of the file this machine is: the one asked for, else the one with its host name
/// (whole, or up to the first dot), else the one with an address of this machine.
/// Fails with Errc::not_found, with the nodes of the file in the hint, or Errc::invalid if local
/// addresses belong to several nodes.
Result<std::string> recognise_node(const Config& config, const std::optional<std::string>& asked,
                                   const model::NodeFacts& facts);

/// What connection IDs of this scheme call the server; nothing if it has no such address.
std::optional<model::ServerId> steering_id(const model::CidScheme& scheme, const Server& server);

/// The files whose keys NodeFacts::cid_keys must have for the node's state to be whole.
std::set<std::string> key_files(const Config& config, const std::string& node);

/// The addresses whose next hops NodeFacts::next_hops must have: of servers beyond routers.
std::set<model::IpAddress> tunnel_ends(const Config& config, const std::string& node);

/// Whether NodeFacts::units must tell of the socket hook for the node's state to be whole.
bool mptcpizes(const Config& config, const std::string& node);

/// The better way of those that the machine has, and the worse one otherwise.
model::MptcpWay better_way(const model::UnitFacts& facts);

/// What the node should hold: on a director without the servers that are drained or that failed,
/// which stand in `drains`. Fails with Errc::not_found if the file has
/// no such node, or it needs libmptcpwrap, which is not installed.
Result<Desired> resolve(const Config& config, const std::string& node,
                        const model::NodeFacts& facts,
                        std::span<const model::DrainIntent> drains = {},
                        const model::Health& health = {});

}  // namespace lbctl::config
