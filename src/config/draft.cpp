#include "draft.hpp"

#include <algorithm>

namespace lbctl::config {
namespace {

bool any_of(const DraftList<model::IpAddress>& list, model::Family family) {
  return std::ranges::any_of(list.items,
                             [&](const auto& item) { return item.value.family() == family; });
}

template <class T>
std::vector<T> values(const DraftList<T>& list) {
  std::vector<T> out;
  out.reserve(list.items.size());
  for (const Spanned<T>& item : list.items)
    out.push_back(item.value);
  return out;
}

model::SysctlState values(const DraftSysctls& sysctls) {
  model::SysctlState out;
  for (const auto& [path, value] : sysctls)
    out.emplace(path, value.value);
  return out;
}

/// Left out: both, where the cluster syncs at all.
std::set<model::SyncRole> to_roles(const DraftDirector& draft, bool syncs) {
  if (!syncs) return {};
  if (draft.sync.items.empty()) return {model::SyncRole::master, model::SyncRole::backup};
  const auto named = values(draft.sync);
  return {named.begin(), named.end()};
}

Director to_director(const DraftDirector& draft, const Source& source) {
  Director out;
  out.name = draft.name;
  out.addresses = values(draft.addresses);
  out.interface = draft.interface.value;
  out.client_interfaces = values(draft.client_interfaces);
  if (out.client_interfaces.empty()) out.client_interfaces.push_back(out.interface);
  out.vip_on = draft.vip_on;
  out.at = source.position(draft.at);
  return out;
}

Server to_server(const DraftServer& draft, const Source& source) {
  Server out;
  out.name = draft.name;
  out.addresses = values(draft.addresses);
  out.interface = draft.interface.value;
  if (draft.id) out.id = draft.id->value;
  out.signal = values(draft.signal);
  out.mptcpize = values(draft.mptcpize);
  out.xdp_mode = draft.xdp_mode;
  out.steer = draft.steer;
  out.at = source.position(draft.at);
  return out;
}

model::ServiceFlags to_flags(const DraftService& draft) {
  model::ServiceFlags out;
  const model::SchedulerInfo* scheduler = model::find_scheduler(draft.scheduler.value);
  for (const Spanned<std::string>& flag : draft.flags.items) {
    if (scheduler && flag.value == scheduler->flag1) out.sched1 = true;
    if (scheduler && flag.value == scheduler->flag2) out.sched2 = true;
  }
  out.persistent = draft.persistence_timeout != 0;
  out.one_packet = draft.one_packet.value;
  return out;
}

template <class T>
std::optional<T> value_of(const std::optional<Spanned<T>>& own,
                          const std::optional<Spanned<T>>& of_service) {
  if (own) return own->value;
  return of_service ? std::optional(of_service->value) : std::nullopt;
}

/// With what the service says for all of its servers.
ServerUse to_use(const DraftService& service, const DraftUse& draft) {
  ServerUse out;
  out.weight = model::Weight{draft.weight};
  if (const auto port = value_of(draft.port, service.server_port)) out.port = model::Port{*port};
  out.uthreshold = value_of(draft.limits.upper, service.limits.upper).value_or(0);
  out.lthreshold = value_of(draft.limits.lower, service.limits.lower).value_or(0);
  return out;
}

model::Tunnel to_tunnel(const DraftService& draft) {
  model::Tunnel out;
  if (!draft.tunnel || draft.forward.value != model::Forward::tunnel) return out;
  out.type = draft.tunnel->type;
  out.checksum = draft.tunnel->checksum.value;
  if (out.type == model::TunnelType::gue)
    out.port = model::Port{draft.tunnel->port ? draft.tunnel->port->value : default_gue_port};
  return out;
}

/// Left out, a whole unit's packets may come at once.
std::optional<model::Rate> to_rate(const DraftRate& draft) {
  if (!draft.rate) return std::nullopt;
  model::Rate out = draft.rate->value;
  out.burst = draft.burst ? draft.burst->value : out.packets;
  return out;
}

Service to_service(const DraftService& draft, const Source& source) {
  Service out;
  out.name = draft.name;
  out.vips = values(draft.vips);
  for (const auto& port : draft.ports.items)
    out.ports.push_back(model::Port{port.value});
  out.ranges = values(draft.ranges);
  out.fwmark = draft.fwmark ? draft.fwmark->value : 0;
  for (const auto& protocol : draft.protocols.items)
    out.protocols.insert(protocol.value);
  out.scheduler = draft.scheduler.value;
  out.flags = to_flags(draft);
  out.persistence_timeout = draft.persistence_timeout;
  if (draft.netmask_v4) out.persistence_prefix_v4 = draft.netmask_v4->value;
  if (draft.netmask_v6) out.persistence_prefix_v6 = draft.netmask_v6->value;
  out.forward = draft.forward.value;
  out.notrack = draft.notrack.value;
  out.tunnel = to_tunnel(draft);
  for (const auto& use : draft.servers.items) {
    out.servers.emplace(use.value.name, to_use(draft, use.value));
  }
  out.mptcp.join_only = draft.join_only.value;
  out.guard.syn = to_rate(draft.guard.syn);
  out.mptcp.syn = to_rate(draft.joins);
  out.guard.mptcp_only = draft.guard.mptcp_only.value;
  out.guard.prefix_v4 = draft.guard.prefix_v4;
  out.guard.prefix_v6 = draft.guard.prefix_v6;
  out.mptcp.signal = draft.signal.value;
  out.mptcp.via = draft.via.value;
  if (draft.port_base) out.mptcp.port_base = draft.port_base->value;
  out.quic.initial = draft.initial;
  out.quic.unknown = draft.unknown;
  for (const auto& cid : draft.cids.items)
    out.quic.cids.push_back({cid.value.scheme, cid.value.key_file});
  if (draft.check) out.check = draft.check->value;
  out.health = draft.health;
  if (draft.track) out.track = draft.track->value;
  if (draft.sorry_server) out.sorry_server = draft.sorry_server->value;
  if (draft.quorum) out.quorum = draft.quorum->value;
  out.at = source.position(draft.at);
  return out;
}

}  // namespace

bool DraftServer::has_address_of(model::Family family) const {
  return any_of(addresses, family);
}
bool DraftServer::has_signal_of(model::Family family) const {
  return any_of(signal, family);
}

bool DraftService::has(Protocol protocol) const {
  return std::ranges::any_of(protocols.items,
                             [&](const auto& item) { return item.value == protocol; });
}

std::map<std::string_view, const DraftServer*> Draft::servers_by_name() const {
  std::map<std::string_view, const DraftServer*> out;
  for (const DraftServer& server : servers)
    out.emplace(server.name, &server);
  return out;
}

Config to_config(const Draft& draft, const Source& source) {
  Config out;
  out.cluster.name = draft.cluster;
  for (const auto& director : draft.directors) {
    auto& made = out.directors.emplace(director.name, to_director(director, source)).first->second;
    made.sync = to_roles(director, draft.ipvs.sync.has_value());
  }
  for (const auto& server : draft.servers) {
    out.servers.emplace(server.name, to_server(server, source));
  }
  for (const auto& service : draft.services) {
    out.services.emplace(service.name, to_service(service, source));
  }
  if (draft.limits) out.mptcp_limits = draft.limits->value;
  out.mptcp_sysctls = values(draft.mptcp_sysctls);
  out.ipvs.timeouts = draft.ipvs.timeouts;
  if (draft.ipvs.sync) out.ipvs.sync = draft.ipvs.sync->value;
  out.ipvs.sysctls = values(draft.ipvs.sysctls);
  out.daemon = draft.daemon;
  out.drain = draft.drain;
  return out;
}

}  // namespace lbctl::config
