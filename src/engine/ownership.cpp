#include "lbctl/engine/ownership.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace lbctl::engine {

using namespace model;

namespace {

/// Moves the entries that are somebody else's.
template <class Map, class IsOurs>
void move_others(Map& from, Map& to, IsOurs is_ours) {
  for (auto it = from.begin(); it != from.end();) {
    const auto next = std::next(it);
    if (!is_ours(*it)) to.insert(to.end(), from.extract(it));
    it = next;
  }
}

}  // namespace

Split split(NodeState observed, const Ledger& ledger) {
  Split out{.ours = std::move(observed), .foreign = {}};
  std::swap(out.ours.xdp.foreign, out.foreign.xdp.foreign);
  std::swap(out.ours.units.foreign, out.foreign.units.foreign);
  move_others(out.ours.ipvs, out.foreign.ipvs,
              [&](const auto& entry) { return ledger.services.contains(entry.first); });
  move_others(out.ours.ipvs_node.daemons, out.foreign.ipvs_node.daemons,
              [&](const auto& entry) { return ledger.daemons.contains(entry); });
  move_others(out.ours.tunnels.devices, out.foreign.tunnels.devices,
              [&](const auto& entry) { return ledger.tunnels.contains(entry.first); });
  move_others(out.ours.tunnels.ports, out.foreign.tunnels.ports,
              [&](const auto& entry) { return ledger.fou.contains(entry.first); });
  move_others(out.ours.addresses, out.foreign.addresses,
              [](const auto& entry) { return entry.second.protocol == rtnl_protocol; });
  move_others(out.ours.mptcp.endpoints, out.foreign.mptcp.endpoints,
              [&](const auto& entry) { return ledger.endpoints.contains(entry.first); });
  return out;
}

namespace {

/// Moves what is equal in `want` from one map to the other; `tell` hears of it.
template <class Map, class Equal, class Tell>
void move_equal(const Map& want, Map& from, Map& to, Equal equal, Tell tell) {
  for (const auto& [key, wanted] : want) {
    const auto it = from.find(key);
    if (it == from.end() || !equal(wanted, it->second)) continue;
    tell(key);
    to.insert(from.extract(it));
  }
}

}  // namespace

std::vector<std::string> adopt(const NodeState& want, Split& split) {
  std::vector<std::string> out;
  NodeState& ours = split.ours;
  NodeState& foreign = split.foreign;
  const auto same = [](const auto& a, const auto& b) { return a == b; };
  move_equal(want.ipvs, foreign.ipvs, ours.ipvs, same,
             [&](const ServiceKey& key) { out.push_back("ipvs " + key.text()); });
  move_equal(want.mptcp.endpoints, foreign.mptcp.endpoints, ours.mptcp.endpoints, same,
             [&](const EndpointKey& key) { out.push_back("mptcp endpoint " + key.text()); });
  move_equal(want.ipvs_node.daemons, foreign.ipvs_node.daemons, ours.ipvs_node.daemons, same,
             [&](SyncRole role) { out.push_back(fmt::format("ipvs sync daemon {}", name(role))); });
  move_equal(want.tunnels.devices, foreign.tunnels.devices, ours.tunnels.devices, same,
             [&](const std::string& name) { out.push_back("tunnel dev " + name); });
  move_equal(want.tunnels.ports, foreign.tunnels.ports, ours.tunnels.ports, same,
             [&](const FouKey& key) { out.push_back("tunnel " + key.text()); });
  move_equal(
      want.addresses, foreign.addresses, ours.addresses,
      [](const AddressSettings&, const AddressSettings&) { return true; },
      [&](const AddressKey& key) { out.push_back("address " + key.text()); });
  return out;
}

namespace {

using Clash = std::function<void(const std::string& object, std::string hint)>;

void daemons_in_the_way(const NodeState& want, const NodeState& foreign, const Clash& clash) {
  for (const auto& [role, daemon] : want.ipvs_node.daemons)
    if (const auto it = foreign.ipvs_node.daemons.find(role); it != foreign.ipvs_node.daemons.end())
      clash(fmt::format("IPVS sync daemon {} (dev {} id {})", name(role), it->second.device,
                        it->second.id),
            fmt::format("stop it (ipvsadm --stop-daemon {}), or whatever starts it, such as "
                        "keepalived's lvs_sync_daemon",
                        name(role)));
}

/// The kernel refuses a second device with the same ends, and a second name.
bool in_the_way(const std::string& name, const TunnelDevice& wanted, const std::string& other,
                const TunnelDevice& stands) {
  return name == other || (stands.kind == wanted.kind && stands.local == wanted.local &&
                           stands.remote == wanted.remote);
}

void tunnels_in_the_way(const NodeState& want, const NodeState& foreign, const Clash& clash) {
  for (const auto& [name, device] : want.tunnels.devices)
    for (const auto& [other, stands] : foreign.tunnels.devices)
      if (in_the_way(name, device, other, stands))
        clash(fmt::format("tunnel device {} ({} local {})", other, model::name(stands.kind),
                          stands.local.text()),
              fmt::format("remove it (ip link delete {}); lbctl adds its own", other));
  for (const auto& [key, port] : want.tunnels.ports)
    if (foreign.tunnels.ports.contains(key))
      clash("foo-over-UDP " + key.text(),
            fmt::format("remove it (ip fou del port {}{}), or choose another port in the file",
                        number(key.port), key.family == Family::v4 ? "" : " -6"));
}

}  // namespace

std::vector<Error> conflicts(const NodeState& want, const Split& split) {
  std::vector<Error> out;
  const auto clash = [&](const std::string& object, std::string hint) {
    out.push_back(
        Error(Errc::conflict, fmt::format("{} is there already, and lbctl did not make it", object))
            .with_hint(std::move(hint)));
  };
  daemons_in_the_way(want, split.foreign, clash);
  tunnels_in_the_way(want, split.foreign, clash);
  for (const auto& [key, service] : want.ipvs)
    if (split.foreign.ipvs.contains(key))
      clash("IPVS service " + key.text(),
            "remove it (ipvsadm -D), or take the service out of the file; one that is exactly as "
            "the file wants it is taken over by lbctl apply --adopt");
  for (const auto& [key, endpoint] : want.mptcp.endpoints)
    if (split.foreign.mptcp.endpoints.contains(key))
      clash(
          "MPTCP endpoint " + key.text(),
          "remove it (ip mptcp endpoint delete), or whatever tool adds it: mptcpd, NetworkManager");
  for (const auto& [device, attachment] : want.xdp.attachments)
    if (const auto it = split.foreign.xdp.foreign.find(device);
        it != split.foreign.xdp.foreign.end())
      clash(fmt::format("XDP program \"{}\" on {}", it->second, device),
            fmt::format("detach it (ip link set dev {} xdp off, or bpftool link detach)", device));
  for (const auto& [unit, how] : want.units.mptcpized)
    if (split.foreign.units.foreign.contains(unit))
      clash("the drop-in of " + unit,
            "lbctl would put its own file there: move or rename that one");
  std::map<IpAddress, AddressKey> standing;
  for (const auto& [key, settings] : split.foreign.addresses)
    standing.emplace(key.address, key);
  std::set<IpAddress> named;
  for (const auto& [key, settings] : want.addresses)
    if (const auto it = standing.find(key.address);
        it != standing.end() && named.insert(key.address).second)
      clash(
          "address " + it->second.text(),
          fmt::format("remove it (ip address delete {}/{} dev {}); lbctl adds it itself, on {}",
                      it->second.address.text(), it->second.prefix, it->second.device, key.device));
  return out;
}

Ledger claim(const Ledger& ledger, const NodeState& want, const NodeState& ours) {
  Ledger out = ledger;
  for (const auto& [key, service] : want.ipvs)
    out.services.insert(key);
  for (const auto& [key, endpoint] : want.mptcp.endpoints)
    out.endpoints.insert(key);
  for (const auto& [path, value] : want.sysctls)
    if (const auto now = ours.sysctls.find(path);
        now != ours.sysctls.end() && !sysctl_equal(path, now->second, value))
      out.sysctls.emplace(path, now->second);  // keeps what an earlier apply found
  if (want.mptcp.limits && ours.mptcp.limits && *want.mptcp.limits != *ours.mptcp.limits &&
      !out.limits)
    out.limits = ours.mptcp.limits;
  const IpvsTimeouts& present = ours.ipvs_node.timeouts;
  out.timeouts = out.timeouts.or_else(present.only(want.ipvs_node.timeouts.differing(present)));
  for (const auto& daemon : want.ipvs_node.daemons)
    out.daemons.insert(daemon);
  for (const auto& [name, device] : want.tunnels.devices)
    out.tunnels.insert(name);
  for (const auto& [key, port] : want.tunnels.ports)
    out.fou.insert(key);
  out.nft = out.nft || want.nft.forward || want.nft.marks;
  out.xdp = out.xdp || !want.xdp.attachments.empty();
  return out;
}

namespace {

/// What is on its way out and has not gone yet.
void settle(Leaving& leaving, const NodeState& ours) {
  std::erase_if(leaving.destinations, [&](const auto& entry) {
    const auto service = ours.ipvs.find(entry.first.service);
    return service == ours.ipvs.end() || !service->second.destinations.contains(entry.first.key);
  });
  std::set<IpAddress> standing;
  for (const auto& [key, settings] : ours.addresses)
    standing.insert(key.address);
  for (auto* addresses : {&leaving.addresses, &leaving.marked_vips})
    std::erase_if(*addresses, [&](const auto& entry) { return !standing.contains(entry.first); });
  std::erase_if(leaving.steered,
                [&](const auto& entry) { return !ours.xdp.services.contains(entry.first); });
  std::erase_if(leaving.server_ids,
                [&](const auto& entry) { return !ours.xdp.servers.contains(entry.first); });
}

void settle_node(Ledger& out, const NodeState& want, const NodeState& ours) {
  const auto restored = [](std::uint32_t& before, std::uint32_t wanted, std::uint32_t now) {
    if (wanted == 0 && before == now) before = 0;
  };
  const IpvsTimeouts& wanted = want.ipvs_node.timeouts;
  const IpvsTimeouts& now = ours.ipvs_node.timeouts;
  restored(out.timeouts.tcp, wanted.tcp, now.tcp);
  restored(out.timeouts.tcp_fin, wanted.tcp_fin, now.tcp_fin);
  restored(out.timeouts.udp, wanted.udp, now.udp);
  std::erase_if(out.daemons, [&](const auto& claim) {
    const auto runs = ours.ipvs_node.daemons.find(claim.first);
    return runs == ours.ipvs_node.daemons.end() || runs->second != claim.second;
  });
  std::erase_if(out.tunnels,
                [&](const std::string& name) { return !ours.tunnels.devices.contains(name); });
  std::erase_if(out.fou, [&](const FouKey& key) { return !ours.tunnels.ports.contains(key); });
}

}  // namespace

Ledger settle(const Ledger& ledger, const NodeState& want, const NodeState& ours) {
  Ledger out = ledger;
  std::erase_if(out.services, [&](const ServiceKey& key) { return !ours.ipvs.contains(key); });
  std::erase_if(out.endpoints,
                [&](const EndpointKey& key) { return !ours.mptcp.endpoints.contains(key); });
  std::erase_if(out.sysctls, [&](const auto& entry) {
    if (want.sysctls.contains(entry.first)) return false;
    const auto now = ours.sysctls.find(entry.first);
    return now == ours.sysctls.end() || sysctl_equal(entry.first, now->second, entry.second);
  });
  settle_node(out, want, ours);
  if (out.limits && !want.mptcp.limits && out.limits == ours.mptcp.limits) out.limits.reset();
  settle(out.leaving, ours);
  out.nft = ours.nft.forward || ours.nft.marks;
  out.xdp =
      !ours.xdp.attachments.empty() || !ours.xdp.services.empty() || !ours.xdp.servers.empty();
  return out;
}

Scope scope_of(const NodeState& want, const Ledger& ledger) {
  Scope scope;
  for (const auto& [path, value] : want.sysctls)
    scope.sysctls.insert(path);
  for (const auto& [path, value] : ledger.sysctls)
    scope.sysctls.insert(path);
  scope.ipvs_node = !want.ipvs_node.empty() || !ledger.timeouts.empty() || !ledger.daemons.empty();
  // The module brings its sysctls along.
  scope.ipvs = !want.ipvs.empty() || !ledger.services.empty() || scope.ipvs_node ||
               std::ranges::any_of(want.sysctls, [](const auto& entry) {
                 return entry.first.starts_with("net/ipv4/vs/");
               });
  scope.tunnels = !want.tunnels.empty() || !ledger.tunnels.empty() || !ledger.fou.empty();
  scope.nft = want.nft.forward || want.nft.marks || ledger.nft;
  scope.mptcp = !want.mptcp.endpoints.empty() || want.mptcp.limits || !ledger.endpoints.empty() ||
                ledger.limits;
  scope.xdp = !want.xdp.attachments.empty() || ledger.xdp;
  return scope;
}

}  // namespace lbctl::engine
