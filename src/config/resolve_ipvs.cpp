// What a director sets once: IPVS timeouts, sync daemons, sysctls.
#include <algorithm>

#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

/// What lbctl sets by itself where there are services; lbctl.toml(5) has the reasons.
model::SysctlState profile(const Config& config) {
  model::SysctlState out;
  // Without it the clients of a removed server get silence instead of a new connection.
  out["net/ipv4/vs/expire_nodest_conn"] = "1";
  // With 0, as kube-proxy sets it, a client that uses a port again comes back to the server that
  // it had, also when that is drained.
  out["net/ipv4/vs/conn_reuse_mode"] = "1";
  // Tracking sees one half of each flow, and a firewall then calls the rest of it invalid. Not so
  // with masquerade, where both halves come by.
  const bool both_halves = std::ranges::any_of(config.services, [](const auto& entry) {
    return entry.second.forward == model::Forward::masquerade;
  });
  if (!both_halves) out["net/ipv4/vs/conntrack"] = "0";
  // Subflows that another director began are taken from any packet on.
  if (std::ranges::any_of(config.services, [](const auto& entry) {
        return entry.second.has(Protocol::mptcp) && entry.second.mptcp.via == Via::ipvs;
      }))
    out["net/ipv4/vs/sloppy_tcp"] = "1";
  // Without it a persistent client comes back to a server that is drained.
  if (std::ranges::any_of(config.services,
                          [](const auto& entry) { return entry.second.persistence_timeout != 0; }))
    out["net/ipv4/vs/expire_quiescent_template"] = "1";
  return out;
}

/// What fits a packet of 1,500 octets. The kernel takes as much for a master; said for a backup,
/// too, it is the same whatever the device's MTU is.
std::uint16_t usual_length(const model::IpAddress& group) {
  return group.is_v4() ? 1500 - 28 : 1500 - 48;
}

}  // namespace

void add_ipvs_node(model::NodeState& state, const Config& config, const Director& director) {
  if (!state.ipvs.empty()) state.sysctls.merge(profile(config));
  for (const auto& [path, value] : config.ipvs.sysctls)
    state.sysctls.insert_or_assign(path, value);
  state.ipvs_node.timeouts = config.ipvs.timeouts;
  if (!config.ipvs.sync) return;
  const SyncSettings& sync = *config.ipvs.sync;
  for (const model::SyncRole role : director.sync)
    state.ipvs_node.daemons[role] = {
        .device = sync.interface.empty() ? director.interface : sync.interface,
        .id = sync.id,
        .max_length = sync.max_length != 0 ? sync.max_length : usual_length(sync.group),
        .group = sync.group,
        .port = sync.port,
        .ttl = sync.ttl};
}

}  // namespace lbctl::config
