#include "holdings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"

namespace lbctl::cli {
namespace {

/// As if every neighbour had answered, and the kernel had everything: whether it does is no matter
/// of the file.
model::NodeFacts no_machine(const config::Config& config) {
  model::NodeFacts facts;
  facts.units.socket_hook = true;
  for (const auto& [name, server] : config.servers)
    for (const model::IpAddress& address : server.addresses)
      facts.neighbours[address] = {{2, 0, 0, 0, 0, 1}};
  return facts;
}

std::set<model::IpAddress> vips_of(const config::Config& config) {
  std::set<model::IpAddress> out;
  for (const auto& [name, service] : config.services)
    out.insert(service.vips.begin(), service.vips.end());
  return out;
}

Holding holding_of(const config::Config& config, config::Desired desired,
                   const std::set<model::IpAddress>& vips) {
  Holding out;
  const bool director = desired.role == config::Role::director;
  for (const auto& [name, service] : config.services)
    if (director || service.servers.contains(desired.node)) out.services.push_back(name);
  std::map<model::IpAddress, std::vector<std::string>> held;
  for (const auto& [key, settings] : desired.state.addresses)
    held[key.address].push_back(key.device);
  for (const auto& [address, devices] : held) {
    (vips.contains(address) ? out.vips : out.signal).push_back({address.text(), devices});
  }
  out.desired = std::move(desired);
  return out;
}

std::string shortened(const std::vector<std::string>& all) {
  constexpr std::size_t most = 8;
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), most));
  std::string out = fmt::format("{}", fmt::join(all.begin(), end, ", "));
  if (all.size() > most) out += fmt::format(" and {} more", all.size() - most);
  return out;
}

std::vector<std::string> texts(const std::vector<HeldAddress>& all) {
  std::vector<std::string> out;
  for (const HeldAddress& one : all)
    out.push_back(fmt::format("{} dev {}", one.address, fmt::join(one.devices, ", ")));
  return out;
}

Json to_json(const std::vector<HeldAddress>& all) {
  Json out = Json::array();
  for (const HeldAddress& one : all)
    out.push_back({{"address", one.address}, {"devices", one.devices}});
  return out;
}

std::size_t destinations(const model::IpvsState& state) {
  std::size_t out = 0;
  for (const auto& [key, service] : state)
    out += service.destinations.size();
  return out;
}

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> out;
  for (const auto& [key, value] : map)
    out.push_back(key.text());
  return out;
}

std::vector<std::string> daemons(const model::NodeState& state) {
  std::vector<std::string> out;
  for (const auto& [role, daemon] : state.ipvs_node.daemons)
    out.push_back(fmt::format("{} dev {} id {}", name(role), daemon.device, daemon.id));
  return out;
}

std::vector<std::string> tunnel_ends(const model::NodeState& state) {
  std::vector<std::string> out;
  for (const auto& [device, tunnel] : state.tunnels.devices)
    out.push_back(device);
  for (const auto& [key, port] : state.tunnels.ports)
    out.push_back(key.text());
  return out;
}

std::vector<std::string> units(const model::NodeState& state) {
  std::vector<std::string> out;
  for (const auto& [unit, how] : state.units.mptcpized)
    out.push_back(unit);
  return out;
}

std::vector<std::string> sysctls(const model::NodeState& state) {
  std::vector<std::string> out;
  for (const auto& [path, value] : state.sysctls)
    out.push_back(fmt::format("{}={}", model::sysctl_name(path), value));
  return out;
}

/// Every kernel object, as the plan of a bare node would make it.
std::vector<Json> objects(const model::NodeState& state) {
  std::vector<Json> out;
  for (const Json& operation : plan::to_json(plan::diff(state, {}))) {
    Json object;
    for (const char* member : {"subsystem", "object", "to"})
      if (operation.contains(member)) object[member] = operation[member];
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace

std::vector<Holding> holdings(const config::Config& config) {
  const model::NodeFacts facts = no_machine(config);
  const auto vips = vips_of(config);
  std::vector<Holding> out;
  for (const std::string& node : config.node_names()) {
    auto desired = config::resolve(config, node, facts);
    if (desired) out.push_back(holding_of(config, std::move(*desired), vips));
  }
  return out;
}

std::string render(const Holding& holding) {
  const model::NodeState& state = holding.desired.state;
  std::string out = title(holding.desired) + "\n";
  const auto line = [&](std::string_view what, const std::string& text) {
    if (!text.empty()) out += fmt::format("  {:<9} {}\n", what, text);
  };
  line("services", shortened(holding.services));
  line("VIPs", shortened(texts(holding.vips)));
  line("signal", shortened(texts(holding.signal)));
  if (!state.ipvs.empty()) {
    line("ipvs", fmt::format("{}, {}", count(state.ipvs.size(), "virtual service"),
                             count(destinations(state.ipvs), "destination")));
  }
  if (state.nft.forward)
    line("joins",
         (state.nft.forward->server_device.empty() ? "guarded for " : "brought home for ") +
             shortened(keys(state.nft.forward->addresses)));
  if (state.nft.marks) line("marks", "set for " + shortened(keys(*state.nft.marks)));
  if (!state.ipvs_node.timeouts.empty()) line("timeouts", plan::describe(state.ipvs_node.timeouts));
  if (!state.mptcp.endpoints.empty()) {
    line("mptcp", count(state.mptcp.endpoints.size(), "endpoint") +
                      (state.mptcp.limits ? ", " + plan::describe(*state.mptcp.limits) : ""));
  }
  for (const auto& [device, attachment] : state.xdp.attachments) {
    line("quic", fmt::format("{} and {} on {}", count(state.xdp.services.size(), "listener"),
                             count(state.xdp.servers.size(), "server"), device));
  }
  line("mptcpize", shortened(units(state)));
  line("sync", shortened(daemons(state)));
  line("tunnels", shortened(tunnel_ends(state)));
  line("sysctls", shortened(sysctls(state)));
  return out;
}

Json to_json(const Holding& holding) {
  const model::NodeState& state = holding.desired.state;
  Json out;
  out["name"] = holding.desired.node;
  out["role"] = config::name(holding.desired.role);
  out["services"] = holding.services;
  out["vips"] = to_json(holding.vips);
  out["signal"] = to_json(holding.signal);
  out["sysctls"] = Json::object();
  for (const auto& [path, value] : state.sysctls)
    out["sysctls"][model::sysctl_name(path)] = value;
  out["objects"] = objects(state);
  out["warnings"] = holding.desired.warnings;
  return out;
}

}  // namespace lbctl::cli
