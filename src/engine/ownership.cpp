#include "lbctl/engine/ownership.hpp"

#include <fmt/format.h>

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
  move_others(out.ours.ipvs, out.foreign.ipvs,
              [&](const auto& entry) { return ledger.services.contains(entry.first); });
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
  move_equal(
      want.addresses, foreign.addresses, ours.addresses,
      [](const AddressSettings&, const AddressSettings&) { return true; },
      [&](const AddressKey& key) { out.push_back("address " + key.text()); });
  return out;
}

std::vector<Error> conflicts(const NodeState& want, const Split& split) {
  std::vector<Error> out;
  const auto clash = [&](const std::string& object, std::string hint) {
    out.push_back(
        Error(Errc::conflict, fmt::format("{} is there already, and lbctl did not make it", object))
            .with_hint(std::move(hint)));
  };
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
    if (const auto now = ours.sysctls.find(path); now != ours.sysctls.end() && now->second != value)
      out.sysctls.emplace(path, now->second);  // keeps what an earlier apply found
  if (want.mptcp.limits && ours.mptcp.limits && *want.mptcp.limits != *ours.mptcp.limits &&
      !out.limits)
    out.limits = ours.mptcp.limits;
  out.nft = out.nft || want.nft.forward.has_value();
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
  std::erase_if(leaving.addresses,
                [&](const auto& entry) { return !standing.contains(entry.first); });
  std::erase_if(leaving.steered,
                [&](const auto& entry) { return !ours.xdp.services.contains(entry.first); });
  std::erase_if(leaving.server_ids,
                [&](const auto& entry) { return !ours.xdp.servers.contains(entry.first); });
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
    return now == ours.sysctls.end() || now->second == entry.second;
  });
  if (out.limits && !want.mptcp.limits && out.limits == ours.mptcp.limits) out.limits.reset();
  settle(out.leaving, ours);
  out.nft = ours.nft.forward.has_value();
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
  scope.ipvs = !want.ipvs.empty() || !ledger.services.empty();
  scope.nft = want.nft.forward.has_value() || ledger.nft;
  scope.mptcp = !want.mptcp.endpoints.empty() || want.mptcp.limits || !ledger.endpoints.empty() ||
                ledger.limits;
  scope.xdp = !want.xdp.attachments.empty() || ledger.xdp;
  return scope;
}

}  // namespace lbctl::engine
