// What a director holds: IPVS services, its VIPs, and the way home for the servers' MPTCP signal
// addresses.
#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

using model::IpAddress;

/// The intent that takes the server out of the service; the more special one counts.
const model::DrainIntent* find_drain(std::span<const model::DrainIntent> drains,
                                     const std::string& server, const std::string& service) {
  const model::DrainIntent* found = nullptr;
  for (const model::DrainIntent& drain : drains) {
    if (drain.server != server) continue;
    if (drain.service == service) return &drain;
    if (!drain.service) found = &drain;
  }
  return found;
}

void add_destinations(Desired& out, const Config& config, const Service& service,
                      const model::ServiceKey& key, bool udp,
                      std::span<const model::DrainIntent> drains) {
  model::VirtualService& virtual_service = out.state.ipvs[key];
  for (const auto& [name, use] : service.servers) {
    const auto address = config.servers.at(name).address_of(key.address.family());
    if (!address) continue;  // refused when the file was read
    // By mark it is 0: the port stays as it is.
    const model::DestinationKey to{*address, service.server_port(use, key.port)};
    if (const model::DrainIntent* intent = find_drain(drains, name, service.name)) {
      std::uint32_t patience = udp ? config.drain.udp : config.drain.tcp;
      // A mark may stand for both.
      if (key.fwmark != 0) patience = std::max(config.drain.udp, config.drain.tcp);
      out.drains[{key, to}] = intent->drain(patience);
    } else {
      virtual_service.destinations[to] = {
          use.weight, service.forward, use.uthreshold, use.lthreshold,
          service.forward == model::Forward::tunnel ? service.tunnel : model::Tunnel{}};
    }
  }
}

void add_service(Desired& out, const Config& config, const Service& service,
                 const model::ServiceKey& key, bool udp,
                 std::span<const model::DrainIntent> drains) {
  model::VirtualService virtual_service;
  virtual_service.scheduler = service.scheduler;
  virtual_service.flags = service.flags;
  virtual_service.persistence_timeout = service.persistence_timeout;
  virtual_service.persistence_prefix = key.address.full_prefix();
  if (service.flags.persistent)
    virtual_service.persistence_prefix =
        key.address.is_v4() ? service.persistence_prefix_v4 : service.persistence_prefix_v6;
  // The kernel takes the flag for TCP, too, and does nothing with it.
  if (!udp) virtual_service.flags.one_packet = false;
  out.state.ipvs[key] = std::move(virtual_service);
  add_destinations(out, config, service, key, udp, drains);
}

model::Marks& marks_of(model::NodeState& state) {
  return state.nft.marks ? *state.nft.marks : state.nft.marks.emplace();
}

/// What stands on packets for its VIPs before IPVS sees them.
void add_marks(model::NodeState& state, const Service& service) {
  const model::Mark mark(service.fwmark, service.notrack);
  if (mark == model::Mark{}) return;
  for (const IpAddress& vip : service.vips)
    for (const Protocol protocol : service.protocols)
      for (const model::PortRange& ports : service.all_ranges())
        marks_of(state)[{vip, layer4(protocol), ports}] = mark;
}

/// One virtual service for each family.
void add_marked(Desired& out, const Config& config, const Service& service,
                std::span<const model::DrainIntent> drains) {
  const bool udp = service.has(Protocol::udp) || service.has(Protocol::quic);
  for (const model::Family family : {model::Family::v4, model::Family::v6})
    if (service.has_vip_of(family))
      add_service(out, config, service, model::fwmark_service(service.fwmark, family), udp, drains);
}

void add_services(Desired& out, const Config& config, const Service& service,
                  std::span<const model::DrainIntent> drains) {
  add_marks(out.state, service);
  if (service.fwmark != 0) return add_marked(out, config, service, drains);
  for (const IpAddress& vip : service.vips)
    for (const model::Port port : service.ports)
      for (const Protocol protocol : service.protocols)
        add_service(out, config, service, {vip, layer4(protocol), port},
                    layer4(protocol) == model::L4::udp, drains);
}

/// Under masquerade servers answer through the director: it is their router.
void add_routing(model::NodeState& state, const Config& config, const Director& director) {
  for (const auto& [name, service] : config.services) {
    if (service.forward != model::Forward::masquerade) continue;
    if (service.has_vip_of(model::Family::v4)) {
      // Of the device that answers come in by, not net.ipv4.ip_forward: that would make a router of
      // every device, and change other sysctls that could not be put back.
      const std::string device = "net/ipv4/conf/" + director.interface;
      state.sysctls[device + "/forwarding"] = "1";
      // Else servers are told to send answers to the next router themselves, past the director.
      // The kernel takes the larger of the two.
      state.sysctls[device + "/send_redirects"] = "0";
      state.sysctls["net/ipv4/conf/all/send_redirects"] = "0";
    }
    // IPv6 asks for this one, whatever the device has; see accept_redirects on real servers.
    if (service.has_vip_of(model::Family::v6)) state.sysctls["net/ipv6/conf/all/forwarding"] = "1";
  }
}

/// A VIP or signal address where the director's clients look for it.
void add_where_clients_look(model::NodeState& state, const Director& director,
                            const IpAddress& address) {
  switch (director.vip_on) {
    case VipOn::interface:
      for (const std::string& device : director.client_interfaces) {
        add_address(state, device, address, true);
      }
      return;
    case VipOn::loopback:
      // Routed here like the VIPs. IPv4 still answers ARP for it, IPv6 does not answer NDP.
      add_address(state, "lo", address, false);
      return;
    case VipOn::none:
      // Whoever moves the VIPs between directors must move these along.
      return;
  }
}

/// One virtual service for each port by which joins come to the signal address. No drain concerns
/// it: a drained server takes joins for the connections that it has.
void add_join_services(model::NodeState& state, const Service& service,
                       const model::EndpointKey& signal, const IpAddress& server) {
  const std::vector<model::Port> own{signal.port};
  for (const model::Port port : number(signal.port) != 0 ? own : service.ports) {
    if (service.notrack)
      marks_of(state)[{signal.address, model::L4::tcp, {port, port}}].untracked = true;
    model::VirtualService& joins = state.ipvs[{signal.address, model::L4::tcp, port}];
    joins.scheduler = "rr";  // there is nothing to choose
    joins.persistence_prefix = signal.address.full_prefix();
    joins.destinations[{server, port}] = {.weight = model::Weight{1}};
  }
}

model::SignalForward& table_of(model::NodeState& state, const Director& director) {
  return table_at(state, {director.client_interfaces.begin(), director.client_interfaces.end()},
                  director.interface);
}

/// What comes for one signal address, or one port of a VIP, goes to its server.
void add_signal(model::NodeState& state, const Director& director, const Service& service,
                const model::EndpointKey& signal, const IpAddress& server) {
  // A VIP stands there anyway.
  if (number(signal.port) == 0) add_where_clients_look(state, director, signal.address);
  const bool forwarded = service.mptcp.via == Via::forward;
  if (!forwarded) add_join_services(state, service, signal, server);
  if (!forwarded && !service.mptcp.join_only) return;
  table_of(state, director).addresses[signal] = {forwarded ? std::optional(server) : std::nullopt,
                                                 service.mptcp.join_only};
}

void add_signals(model::NodeState& state, const Config& config, const Director& director) {
  for (const auto& [service_name, service] : config.services) {
    if (!service.has(Protocol::mptcp) || service.mptcp.via == Via::direct) continue;
    for (const auto& [name, use] : service.servers) {
      const Server& server = config.servers.at(name);
      if (service.mptcp.syn) limit_joins(table_of(state, director), service, server);
      for (const model::EndpointKey& signal : service.announced(server))
        // Each has its family's, or the file was refused.
        if (const auto address = server.address_of(signal.address.family()))
          add_signal(state, director, service, signal, *address);
    }
  }
}

}  // namespace

Desired resolve_director(const Config& config, const Director& director,
                         std::span<const model::DrainIntent> drains) {
  Desired out;
  out.node = director.name;
  out.role = Role::director;
  out.interface = director.interface;
  out.patience = config.drain;

  for (const auto& [name, service] : config.services) {
    add_services(out, config, service, drains);
    for (const IpAddress& vip : service.vips)
      add_where_clients_look(out.state, director, vip);
  }
  add_ipvs_node(out.state, config, director);

  add_routing(out.state, config, director);

  add_signals(out.state, config, director);
  for (const auto& [name, service] : config.services)
    if (service.guard.syn || service.guard.mptcp_only)
      guard_vips(table_of(out.state, director), service);
  return out;
}

}  // namespace lbctl::config
