#include "lbctl/engine/ownership.hpp"

#include <fmt/format.h>

namespace lbctl::engine {

using namespace model;

Split split(const NodeState& observed, const Ledger& ledger) {
  Split out;
  out.ours.sysctls = observed.sysctls;
  out.ours.nft = observed.nft;
  out.ours.mptcp.limits = observed.mptcp.limits;
  out.ours.xdp = observed.xdp;
  out.ours.xdp.foreign.clear();
  out.foreign.xdp.foreign = observed.xdp.foreign;
  for (const auto& [key, service] : observed.ipvs)
    (ledger.services.contains(key) ? out.ours : out.foreign).ipvs.emplace(key, service);
  for (const auto& [key, settings] : observed.addresses)
    (settings.protocol == rtnl_protocol ? out.ours : out.foreign).addresses.emplace(key, settings);
  for (const auto& [key, endpoint] : observed.mptcp.endpoints)
    (ledger.endpoints.contains(key) ? out.ours : out.foreign)
        .mptcp.endpoints.emplace(key, endpoint);
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

Ledger claim(const Ledger& ledger, const NodeState& want, const NodeState& observed) {
  Ledger out = ledger;
  for (const auto& [key, service] : want.ipvs)
    out.services.insert(key);
  for (const auto& [key, endpoint] : want.mptcp.endpoints)
    out.endpoints.insert(key);
  for (const auto& [path, value] : want.sysctls)
    if (const auto now = observed.sysctls.find(path);
        now != observed.sysctls.end() && now->second != value)
      out.sysctls.emplace(path, now->second);  // keeps what an earlier apply found
  if (want.mptcp.limits && observed.mptcp.limits && *want.mptcp.limits != *observed.mptcp.limits &&
      !out.limits)
    out.limits = observed.mptcp.limits;
  out.nft = out.nft || want.nft.forward.has_value();
  out.xdp = out.xdp || !want.xdp.attachments.empty();
  return out;
}

namespace {

/// What is on its way out and has not gone yet.
void settle(Leaving& leaving, const NodeState& observed) {
  std::erase_if(leaving.destinations, [&](const auto& entry) {
    const auto service = observed.ipvs.find(entry.first.service);
    return service == observed.ipvs.end() ||
           !service->second.destinations.contains(entry.first.key);
  });
  std::set<IpAddress> standing;
  for (const auto& [key, settings] : observed.addresses)
    standing.insert(key.address);
  std::erase_if(leaving.addresses,
                [&](const auto& entry) { return !standing.contains(entry.first); });
  std::erase_if(leaving.steered,
                [&](const auto& entry) { return !observed.xdp.services.contains(entry.first); });
  std::erase_if(leaving.server_ids,
                [&](const auto& entry) { return !observed.xdp.servers.contains(entry.first); });
}

}  // namespace

Ledger settle(const Ledger& ledger, const NodeState& want, const NodeState& observed) {
  Ledger out = ledger;
  std::erase_if(out.services, [&](const ServiceKey& key) { return !observed.ipvs.contains(key); });
  std::erase_if(out.endpoints,
                [&](const EndpointKey& key) { return !observed.mptcp.endpoints.contains(key); });
  std::erase_if(out.sysctls, [&](const auto& entry) {
    if (want.sysctls.contains(entry.first)) return false;
    const auto now = observed.sysctls.find(entry.first);
    return now == observed.sysctls.end() || now->second == entry.second;
  });
  if (out.limits && !want.mptcp.limits && out.limits == observed.mptcp.limits) out.limits.reset();
  settle(out.leaving, observed);
  out.nft = observed.nft.forward.has_value();
  out.xdp = !observed.xdp.attachments.empty() || !observed.xdp.services.empty() ||
            !observed.xdp.servers.empty();
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
