#include "leaving.hpp"

#include <algorithm>

namespace lbctl::plan {

using namespace model;

namespace {

UnixTime after(UnixTime now, std::uint32_t seconds) {
  return UnixTime{number(now) + seconds};
}

/// The recorded deadline, or a new one.
template <class Key>
UnixTime deadline_of(const std::map<Key, UnixTime>& recorded, const Key& key, UnixTime otherwise) {
  const auto it = recorded.find(key);
  return it == recorded.end() ? otherwise : it->second;
}

/// What stands for joins only, and IPVS brings home.
const EndpointKey* find_join_guard(const NodeState& have, const ServiceKey& key) {
  if (!have.nft.forward || key.fwmark != 0 || key.protocol != L4::tcp) return nullptr;
  const auto& addresses = have.nft.forward->addresses;
  for (const EndpointKey& signal : {EndpointKey{key.address, {}}, {key.address, key.port}}) {
    const auto found = addresses.find(signal);
    if (found != addresses.end() && !found->second.server && found->second.join_only)
      return &found->first;
  }
  return nullptr;
}

void leaving_destinations(const Request& request, Leaving& out) {
  for (const auto& [key, have] : request.have.ipvs) {
    const auto want = request.want.ipvs.find(key);
    const std::uint32_t patience =
        key.protocol == L4::udp ? request.patience->udp : request.patience->tcp;
    for (const auto& [to, destination] : have.destinations) {
      if (want != request.want.ipvs.end() && want->second.destinations.contains(to)) continue;
      const DestinationId id{key, to};
      if (const auto asked = request.asked.find(id); asked != request.asked.end()) {
        out.destinations.emplace(id, asked->second);
      } else if (const auto known = request.recorded.destinations.find(id);
                 known != request.recorded.destinations.end() &&
                 (number(destination.weight) == 0 || find_join_guard(request.have, key))) {
        // One that still has weight never began to drain: an apply was stopped before that.
        // Where joins come it keeps its weight.
        out.destinations.emplace(id, known->second);
      } else {
        out.destinations.emplace(id, Drain{after(request.now, patience)});
      }
    }
  }
}

/// A VIP for which a service by firewall mark stands, or stood when the VIP began to leave.
bool is_marked(const Request& request, const IpAddress& vip) {
  // What is taken back at once has stood for a moment only, and is not in use yet.
  if (request.have.nft.marks && request.removal != Reason::reverting) {
    const Marks& marks = *request.have.nft.marks;
    for (auto at = marks.lower_bound({vip, L4::tcp, {}});
         at != marks.end() && at->first.address == vip; ++at)
      if (at->second.value != 0) return true;
  }
  return request.recorded.marked_vips.contains(vip);
}

template <class Map, class Key>
void leaving_steering(const Map& want, const Map& have, const std::map<Key, UnixTime>& recorded,
                      UnixTime otherwise, std::map<Key, UnixTime>& out) {
  for (const auto& [key, value] : have)
    if (!want.contains(key)) out.emplace(key, deadline_of(recorded, key, otherwise));
}

/// The state's service of that key, made after the one that stands if the file has none.
VirtualService& service_in(NodeState& state, const NodeState& have, const ServiceKey& key) {
  const auto [it, made] = state.ipvs.try_emplace(key);
  if (made) {
    it->second = have.ipvs.at(key);
    it->second.destinations.clear();
  }
  return it->second;
}

/// These hash onto a server that takes no new connections, too, unless told to go on to the next.
bool hashes(const VirtualService& service) {
  return service.scheduler == "mh" || service.scheduler == "sh";
}

bool serves(const VirtualService& service) {
  return std::ranges::any_of(service.destinations,
                             [](const auto& entry) { return number(entry.second.weight) != 0; });
}

void keep_addresses(NodeState& state, const NodeState& have, const IpAddress& address) {
  for (const auto& [key, settings] : have.addresses)
    if (key.address == address) state.addresses.emplace(key, settings);
}

SignalForward& forward_in(NodeState& state, const NodeState& have) {
  if (!state.nft.forward) {
    state.nft.forward = have.nft.forward;
    state.nft.forward->addresses.clear();
  }
  return *state.nft.forward;
}

/// The way home of a server's signal addresses.
void keep_signals(NodeState& state, const NodeState& have, const IpAddress& server) {
  if (!have.nft.forward) return;
  for (const auto& [signal, target] : have.nft.forward->addresses) {
    if (target.server != server) continue;
    forward_in(state, have).addresses.emplace(signal, target);
    keep_addresses(state, have, signal.address);
  }
}

void keep_destinations(NodeState& state, const NodeState& have, const Drains& drains) {
  for (const auto& [id, drain] : drains) {
    if (id.service.fwmark == 0) keep_addresses(state, have, id.service.address);
    keep_signals(state, have, id.key.address);
    VirtualService& service = service_in(state, have, id.service);
    Destination destination = have.ipvs.at(id.service).destinations.at(id.key);
    // Joins come for connections that live; nothing else gets there.
    if (const EndpointKey* guard = find_join_guard(have, id.service))
      forward_in(state, have).addresses.insert(*have.nft.forward->addresses.find(*guard));
    else
      destination.weight = Weight{0};
    service.destinations.emplace(id.key, destination);
  }
  for (const auto& [id, drain] : drains)
    if (VirtualService& service = state.ipvs.at(id.service); hashes(service) && serves(service))
      service.flags.sched1 = true;
}

void keep_steering(XdpState& state, const XdpState& have, const Leaving& leaving) {
  for (const auto& [key, deadline] : leaving.steered)
    state.services.emplace(key, have.services.at(key));
  for (const auto& [id, deadline] : leaving.server_ids)
    state.servers.emplace(id, have.servers.at(id));
  if (!state.services.empty() && state.attachments.empty()) state.attachments = have.attachments;
}

}  // namespace

std::set<IpAddress> addresses_to_count(const NodeState& want, const NodeState& have) {
  std::set<IpAddress> out;
  for (const auto& [key, settings] : have.addresses)
    out.insert(key.address);
  for (const auto& [key, settings] : want.addresses)
    out.erase(key.address);
  return out;
}

std::uint64_t connections(const IpvsCounters& counters, const DestinationId& id) {
  const auto it = counters.find({id.service, id.key});
  if (it == counters.end()) return 0;
  return std::uint64_t{it->second.active_connections} + it->second.inactive_connections;
}

Leaving what_leaves(const Request& request) {
  Leaving out;
  if (!request.patience) return out;
  leaving_destinations(request, out);
  const UnixTime tcp = after(request.now, request.patience->tcp);
  const UnixTime steering = after(request.now, request.patience->steering);
  for (const IpAddress& address : addresses_to_count(request.want, request.have)) {
    const auto& recorded = request.recorded;
    if (is_marked(request, address))
      out.marked_vips.emplace(address, deadline_of(recorded.marked_vips, address, tcp));
    else
      out.addresses.emplace(address, deadline_of(recorded.addresses, address, tcp));
  }
  leaving_steering(request.want.xdp.services, request.have.xdp.services, request.recorded.steered,
                   steering, out.steered);
  leaving_steering(request.want.xdp.servers, request.have.xdp.servers, request.recorded.server_ids,
                   steering, out.server_ids);
  return out;
}

namespace {

bool by_mark(const ServiceKey& key, Family family) {
  return key.fwmark != 0 && key.address.family() == family;
}

/// Such a VIP stays as long as servers of such a service drain, and if only the VIP leaves, until
/// its time is over or the service has no connections at all.
bool marked_in_use(const Request& request, const Leaving& stays, Family family, bool in_time) {
  for (const auto& [id, drain] : stays.destinations)
    if (by_mark(id.service, family)) return true;
  if (!in_time) return false;
  for (const auto& [key, service] : request.have.ipvs)
    for (const auto& [to, destination] : service.destinations)
      if (by_mark(key, family) && connections(request.observed.ipvs_counters, {key, to}) != 0)
        return true;
  return false;
}

}  // namespace

Leaving still_used(const Leaving& leaving, const Request& request) {
  Leaving out = leaving;
  const Observed& observed = request.observed;
  const UnixTime now = request.now;
  const auto is_done = [&](const auto& entry) {
    return entry.second.deadline <= now ||
           connections(observed.ipvs_counters, entry.first) <= entry.second.until;
  };
  const auto for_joins = [&](const auto& entry) {
    return find_join_guard(request.have, entry.first.service) != nullptr;
  };
  std::erase_if(out.destinations,
                [&](const auto& entry) { return !for_joins(entry) && is_done(entry); });
  std::set<IpAddress> with_connections;
  for (const auto& [id, drain] : out.destinations)
    if (!for_joins(std::pair(id, drain))) with_connections.insert(id.key.address);
  std::erase_if(out.destinations, [&](const auto& entry) {
    return for_joins(entry) && is_done(entry) &&
           !with_connections.contains(entry.first.key.address);
  });
  std::erase_if(out.addresses, [&](const auto& entry) {
    return entry.second <= now || !observed.sockets.contains(entry.first);
  });
  std::erase_if(out.marked_vips, [&](const auto& entry) {
    const auto& [vip, deadline] = entry;
    const bool in_time = deadline > now;
    return !(in_time && observed.sockets.contains(vip)) &&
           !marked_in_use(request, out, vip.family(), in_time);
  });
  const auto over = [&](const auto& entry) { return entry.second <= now; };
  std::erase_if(out.steered, over);
  std::erase_if(out.server_ids, over);
  return out;
}

NodeState keep(NodeState want, const NodeState& have, const Before& before,
               const Leaving& leaving) {
  if (leaving.empty()) return want;
  keep_destinations(want, have, leaving.destinations);
  // Directors send what comes for an address that leaves through the tunnels that they know.
  if (!leaving.addresses.empty()) {
    want.tunnels.devices.insert(have.tunnels.devices.begin(), have.tunnels.devices.end());
    want.tunnels.ports.insert(have.tunnels.ports.begin(), have.tunnels.ports.end());
  }
  for (const auto& [address, deadline] : leaving.addresses) {
    keep_addresses(want, have, address);
    for (const auto& [key, endpoint] : have.mptcp.endpoints)
      if (key.address == address) want.mptcp.endpoints.emplace(key, endpoint);
  }
  for (const auto& [address, deadline] : leaving.marked_vips)
    keep_addresses(want, have, address);
  keep_steering(want.xdp, have.xdp, leaving);
  for (const auto& [key, deadline] : leaving.steered)
    keep_addresses(want, have, key.address);
  // What lbctl set for the whole namespace goes back to its old value when the last has left.
  for (const auto& [path, value] : before.sysctls)
    if (const auto now = have.sysctls.find(path); now != have.sysctls.end())
      want.sysctls.insert(*now);
  if (before.limits && !want.mptcp.limits) want.mptcp.limits = have.mptcp.limits;
  want.ipvs_node.timeouts =
      want.ipvs_node.timeouts.or_else(have.ipvs_node.timeouts.only(before.timeouts));
  return want;
}

void back_up_endpoints(MptcpState& state, const MptcpState& want, const Leaving& stays) {
  for (auto& [key, endpoint] : state.endpoints)
    if (stays.addresses.contains(key.address) && !want.endpoints.contains(key))
      endpoint.backup = true;
}

}  // namespace lbctl::plan
