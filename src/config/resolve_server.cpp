// What a real server holds: the VIPs, silently; its MPTCP signal addresses; QUIC steering.
#include <fmt/format.h>

#include <algorithm>

#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

// lo, not a device of our own: no module is needed, with arp_ignore=1 it answers no ARP, and the
// kernel answers NDP only for addresses of the device that was asked.
constexpr const char* quiet_device = "lo";

std::vector<const Service*> services_of(const Config& config, const Server& server) {
  std::vector<const Service*> out;
  for (const auto& [name, service] : config.services) {
    if (service.servers.contains(server.name)) out.push_back(&service);
  }
  return out;
}

void add_vips(model::NodeState& state, const Service& service) {
  for (const model::IpAddress& vip : service.vips)
    add_address(state, quiet_device, vip, false);
  if (service.has_vip_of(model::Family::v4)) {
    // Neither answer for the VIP on the segment nor name it as the sender of a question.
    state.sysctls["net/ipv4/conf/all/arp_ignore"] = "1";
    state.sysctls["net/ipv4/conf/all/arp_announce"] = "2";
  }
}

model::Endpoint signal_endpoint() {
  model::Endpoint endpoint;
  endpoint.signal = true;
  // No device: the kernel uses it only for subflows that start here (__mptcp_subflow_connect).
  return endpoint;
}

void add_signals(model::NodeState& state, const Config& config, const Service& service,
                 const Server& server) {
  state.sysctls["net/mptcp/enabled"] = "1";
  // Tells clients not to join by the VIP: that join would go wherever IPVS sends it.
  state.sysctls["net/mptcp/allow_join_initial_addr_port"] = "0";
  for (const auto& [path, value] : config.mptcp_sysctls)
    state.sysctls.insert_or_assign(path, value);
  state.mptcp.limits = config.mptcp_limits;
  for (const model::EndpointKey& signal : service.announced(server)) {
    // With a port the kernel listens there by itself, which also needs the address.
    add_address(state, quiet_device, signal.address, false);
    state.mptcp.endpoints[signal] = signal_endpoint();
    if (service.mptcp.join_only)
      table_at(state, {server.interface}, "").addresses[signal] = {std::nullopt, true};
  }
}

/// What directors drop, once more: for what comes past them.
void add_guard(model::NodeState& state, const Service& service, const Server& server) {
  const bool joins = service.has(Protocol::mptcp) && service.mptcp.syn;
  // In a tunnel the device sees the outer packet; under masquerade the VIP is not here.
  const bool vips =
      service.forward == model::Forward::route && (service.guard.syn || service.guard.mptcp_only);
  if (!joins && !vips) return;
  model::SignalForward& table = table_at(state, {server.interface}, "");
  if (joins) limit_joins(table, service, server);
  if (vips) guard_vips(table, service);
}

/// The first of the server's addresses whose Ethernet address is known.
model::MacAddress mac_of(const Server& server, const model::NodeFacts& facts) {
  for (const model::IpAddress& address : server.addresses) {
    const auto found = facts.neighbours.find(address);
    if (found != facts.neighbours.end()) return found->second;
  }
  return {};
}

void add_target(Desired& out, const model::ServerId& id, const Server& self, const Server& target,
                const model::NodeFacts& facts) {
  model::XdpState& xdp = out.state.xdp;
  if (xdp.servers.contains(id)) return;
  if (target.name == self.name) {
    xdp.servers[id] = {true, {}};
    return;
  }
  const model::MacAddress mac = mac_of(target, facts);
  xdp.servers[id] = {false, mac};
  out.neighbours_wanted.insert(out.neighbours_wanted.end(), target.addresses.begin(),
                               target.addresses.end());
  if (mac.is_zero()) {
    out.warnings.push_back(fmt::format(
        "the Ethernet address of server {} is not known on {}: QUIC packets that belong to it are "
        "not steered until it is",
        target.name, self.interface));
  }
}

model::SteeredService steered(const Service& service, const model::NodeFacts& facts) {
  model::SteeredService out;
  out.keep_long = service.quic.initial == Initial::local;
  out.drop_unknown = service.quic.unknown == Unknown::drop;
  for (const QuicCid& cid : service.quic.cids) {
    out.cids.push_back(cid.scheme);
    if (const auto key = facts.cid_keys.find(cid.key_file); key != facts.cid_keys.end())
      out.cids.back().key = key->second;
  }
  return out;
}

void add_steering(Desired& out, const Config& config, const Server& self, const Service& service,
                  const model::NodeFacts& facts) {
  model::XdpState& xdp = out.state.xdp;
  xdp.attachments[self.interface] = {self.xdp_mode, facts.xdp_program};
  const model::SteeredService how = steered(service, facts);
  for (const model::IpAddress& vip : service.vips) {
    for (const model::Port port : service.ports)
      xdp.services[{vip, port}] = how;
  }
  for (const auto& [name, use] : service.servers) {
    const Server& target = config.servers.at(name);
    for (const model::CidScheme& scheme : how.cids)
      if (const auto id = steering_id(scheme, target)) add_target(out, *id, self, target, facts);
  }
}

}  // namespace

std::optional<model::ServerId> steering_id(const model::CidScheme& scheme, const Server& server) {
  const auto layout = model::layout(scheme);
  if (!layout || layout->space == model::IdSpace::number) return server.id;
  const bool v4 = layout->space == model::IdSpace::ipv4;
  const auto address = server.address_of(v4 ? model::Family::v4 : model::Family::v6);
  return address ? std::optional(model::address_id(*address)) : std::nullopt;
}

std::set<std::string> key_files(const Config& config, const std::string& node) {
  std::set<std::string> out;
  const auto server = config.servers.find(node);
  if (server == config.servers.end()) return out;
  for (const Service* service : services_of(config, server->second)) {
    if (!service->has(Protocol::quic)) continue;
    for (const QuicCid& cid : service->quic.cids)
      if (!cid.key_file.empty()) out.insert(cid.key_file);
  }
  return out;
}

Desired resolve_server(const Config& config, const Server& server, const model::NodeFacts& facts) {
  Desired out;
  out.node = server.name;
  out.role = Role::real_server;
  out.interface = server.interface;
  out.patience = config.drain;

  const std::vector<const Service*> services = services_of(config, server);
  if (services.empty()) {
    out.warnings.push_back(fmt::format("no service uses server {}: it holds nothing", server.name));
  }
  for (const Service* service : services) {
    if (service->vip_on_servers()) {
      add_vips(out.state, *service);
    } else if (service->has_vip_of(model::Family::v6)) {
      // A director can't be kept from sending redirects in IPv6, and a server that followed one
      // would answer past the director, with its own address.
      out.state.sysctls["net/ipv6/conf/" + server.interface + "/accept_redirects"] = "0";
    }
    add_tunnels(out.state, server, *service);
    if (service->has(Protocol::mptcp)) add_signals(out.state, config, *service, server);
    add_guard(out.state, *service, server);
    if (service->has(Protocol::quic)) add_steering(out, config, server, *service, facts);
  }
  return out;
}

}  // namespace lbctl::config
