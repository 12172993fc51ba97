// What a director holds: IPVS services, its VIPs, and the way home for the servers' MPTCP signal
// addresses.
#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

using model::IpAddress;

model::Destination destination_of(const Service& service, const ServerUse& use,
                                  model::Weight weight) {
  return {weight, service.forward, use.uthreshold, use.lthreshold,
          service.forward == model::Forward::tunnel ? service.tunnel : model::Tunnel{}};
}

/// How one that failed leaves.
model::Drain failure(const Service& service) {
  return service.health.remove ? model::failed_at_once() : model::failed_with_time();
}

struct Adding {
  Desired& out;
  const Config& config;
  const Circumstances& circumstances;
};

void add_destinations(const Adding& adding, const Service& service, const model::ServiceKey& key,
                      bool udp) {
  const auto& [out, config, circumstances] = adding;
  model::VirtualService& virtual_service = out.state.ipvs[key];
  // By mark it is 0: the port stays as it is.
  const auto place = [&](const std::string& name, const ServerUse& use) {
    const auto address = config.servers.at(name).address_of(key.address.family());
    return address  // else refused when the file was read
               ? std::optional<model::DestinationKey>(
                     {*address, service.server_port(use, key.port)})
               : std::nullopt;
  };
  const bool sorry = circumstances.sorry(service.name);
  for (const auto& [name, use] : service.servers) {
    const auto to = place(name, use);
    if (!to) continue;
    const model::ServerHealth health = circumstances.of(name, service.name);
    if (const model::DrainIntent* intent = circumstances.drain(name, service.name)) {
      std::uint32_t patience = udp ? config.drain.udp : config.drain.tcp;
      // A mark may stand for both.
      if (key.fwmark != 0) patience = std::max(config.drain.udp, config.drain.tcp);
      out.drains[{key, *to}] = intent->drain(patience);
    } else if (!health.up) {
      out.drains[{key, *to}] = failure(service);
    } else if (sorry || health.percent == 0) {
      out.drains[{key, *to}] = model::failed_with_time();
    } else {
      virtual_service.destinations[*to] =
          destination_of(service, use, model::limited(use.weight, health));
    }
  }
  if (const auto to = sorry ? place(service.sorry_server, {}) : std::nullopt)
    virtual_service.destinations[*to] = destination_of(service, {}, model::Weight{1});
}

void add_service(const Adding& adding, const Service& service, const model::ServiceKey& key,
                 bool udp) {
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
  adding.out.state.ipvs[key] = std::move(virtual_service);
  add_destinations(adding, service, key, udp);
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
void add_marked(const Adding& adding, const Service& service) {
  const bool udp = service.has(Protocol::udp) || service.has(Protocol::quic);
  for (const model::Family family : {model::Family::v4, model::Family::v6})
    if (service.has_vip_of(family))
      add_service(adding, service, model::fwmark_service(service.fwmark, family), udp);
}

void add_services(const Adding& adding, const Service& service) {
  add_marks(adding.out.state, service);
  if (service.fwmark != 0) return add_marked(adding, service);
  for (const IpAddress& vip : service.vips)
    for (const model::Port port : service.ports)
      for (const Protocol protocol : service.protocols)
        add_service(adding, service, {vip, layer4(protocol), port},
                    layer4(protocol) == model::L4::udp);
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
void add_join_services(Desired& out, const Service& service, const model::EndpointKey& signal,
                       const IpAddress& server, bool up) {
  const std::vector<model::Port> own{signal.port};
  for (const model::Port port : number(signal.port) != 0 ? own : service.ports) {
    const model::ServiceKey key{signal.address, model::L4::tcp, port};
    if (service.notrack)
      marks_of(out.state)[{signal.address, model::L4::tcp, {port, port}}].untracked = true;
    model::VirtualService& joins = out.state.ipvs[key];
    joins.scheduler = "rr";  // there is nothing to choose
    joins.persistence_prefix = signal.address.full_prefix();
    if (up)
      joins.destinations[{server, port}] = {.weight = model::Weight{1}};
    else
      out.drains[{key, {server, port}}] = failure(service);
  }
}

/// What the director asks through IPVS goes to the server that the mark names.
void add_check_services(model::NodeState& state, const Config& config, const Service& service) {
  for (const auto& [name, use] : service.servers)
    for (const model::Family family : {model::Family::v4, model::Family::v6}) {
      const Server& server = config.servers.at(name);
      const auto address = server.address_of(family);
      if (!address || !service.has_vip_of(family)) continue;
      model::VirtualService& to = state.ipvs[model::fwmark_service(check_mark(server), family)];
      to.scheduler = "rr";  // there is nothing to choose
      to.persistence_prefix = address->full_prefix();
      to.destinations[{*address, model::Port{}}] = {.weight = model::Weight{1}};
    }
}

/// Whether answers to checks come from addresses that the director holds itself.
bool hears_own_addresses(const Service& service) {
  return service.check && (service.check->through_vip ||
                           (service.checked_by_joins() && service.mptcp.via != Via::direct));
}

void add_checks(model::NodeState& state, const Config& config, const Director& director) {
  for (const auto& [name, service] : config.services) {
    if (service.checked_by_mark()) add_check_services(state, config, service);
    // Only IPv4 minds.
    if (hears_own_addresses(service) && service.has_vip_of(model::Family::v4) &&
        director.vip_on != VipOn::none)
      state.sysctls["net/ipv4/conf/" + director.interface + "/accept_local"] = "1";
  }
}

model::SignalForward& table_of(model::NodeState& state, const Director& director) {
  return table_at(state, {director.client_interfaces.begin(), director.client_interfaces.end()},
                  director.interface);
}

/// What comes for one signal address, or one port of a VIP, goes to its server; to one that failed
/// nothing goes. The address stays: what comes for it is refused at once, and it need not be
/// announced again.
void add_signal(Desired& out, const Director& director, const Service& service,
                const model::EndpointKey& signal, const IpAddress& server, bool up) {
  // A VIP stands there anyway.
  if (number(signal.port) == 0) add_where_clients_look(out.state, director, signal.address);
  const bool forwarded = service.mptcp.via == Via::forward;
  if (!forwarded) add_join_services(out, service, signal, server, up);
  if (!forwarded && !service.mptcp.join_only) return;
  model::SignalForward& table = table_of(out.state, director);
  if (!forwarded)
    table.addresses[signal] = {std::nullopt, service.mptcp.join_only};
  else if (up)
    table.addresses[signal] = {server, service.mptcp.join_only};
}

void add_signals(const Adding& adding, const Director& director) {
  const auto& [out, config, circumstances] = adding;
  for (const auto& [service_name, service] : config.services) {
    if (!service.has(Protocol::mptcp) || service.mptcp.via == Via::direct) continue;
    for (const auto& [name, use] : service.servers) {
      const Server& server = config.servers.at(name);
      const bool up = circumstances.of(name, service_name).up;
      if (service.mptcp.syn) limit_joins(table_of(out.state, director), service, server);
      for (const model::EndpointKey& signal : service.announced(server))
        // Each has its family's, or the file was refused.
        if (const auto address = server.address_of(signal.address.family()))
          add_signal(out, director, service, signal, *address, up);
    }
  }
}

}  // namespace

const model::DrainIntent* Circumstances::drain(const std::string& server,
                                               const std::string& service) const {
  const model::DrainIntent* found = nullptr;
  for (const model::DrainIntent& drain : drains) {
    if (drain.server != server) continue;
    if (drain.service == service) return &drain;
    if (!drain.service) found = &drain;
  }
  return found;
}

model::ServerHealth Circumstances::of(const std::string& server, const std::string& service) const {
  const auto found = health.find(service);
  if (found == health.end()) return {};
  const auto one = found->second.servers.find(server);
  return one == found->second.servers.end() ? model::ServerHealth{} : one->second;
}

bool Circumstances::sorry(const std::string& service) const {
  const auto found = health.find(service);
  return found != health.end() && found->second.sorry;
}

Desired resolve_director(const Config& config, const Director& director,
                         const Circumstances& circumstances) {
  Desired out;
  out.node = director.name;
  out.role = Role::director;
  out.interface = director.interface;
  out.patience = config.drain;

  const Adding adding{out, config, circumstances};
  for (const auto& [name, service] : config.services) {
    add_services(adding, service);
    for (const IpAddress& vip : service.vips)
      add_where_clients_look(out.state, director, vip);
  }
  add_checks(out.state, config, director);
  add_ipvs_node(out.state, config, director);

  add_routing(out.state, config, director);

  add_signals(adding, director);
  for (const auto& [name, service] : config.services)
    if (service.guard.syn || service.guard.mptcp_only)
      guard_vips(table_of(out.state, director), service);
  return out;
}

}  // namespace lbctl::config
