// Services that listen with MPTCP.
#include "resolve_parts.hpp"

namespace lbctl::config {

bool mptcpizes(const Config& config, const std::string& node) {
  const auto server = config.servers.find(node);
  return server != config.servers.end() && !server->second.mptcpize.empty();
}

model::MptcpWay better_way(const model::UnitFacts& facts) {
  // BPF changes every program's sockets, also those of one that does without the C library, and
  // leaves the environment alone.
  return facts.socket_hook ? model::MptcpWay::bpf : model::MptcpWay::preload;
}

Result<> add_units(model::NodeState& state, const Server* server, const model::UnitFacts& facts) {
  // What was asked for by hand keeps the way that was.
  state.units.mptcpized = facts.by_hand;
  if (server == nullptr || server->mptcpize.empty()) return {};
  // Where it is off the service would get an error instead of a socket.
  state.sysctls["net/mptcp/enabled"] = "1";
  const model::MptcpWay way = better_way(facts);
  for (const std::string& unit : server->mptcpize) {
    const auto [entry, added] = state.units.mptcpized.try_emplace(unit);
    if (!added) continue;
    entry->second.way = way;
    if (way == model::MptcpWay::preload && !facts.library)
      return fail(Error(Errc::not_found, "libmptcpwrap is not installed")
                      .during("mptcpize " + unit)
                      .with_hint("apt install mptcpize"));
  }
  return {};
}

}  // namespace lbctl::config
