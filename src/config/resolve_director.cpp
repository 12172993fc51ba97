// What a director holds: IPVS services, its VIPs, and the way home for the servers' MPTCP signal
// addresses.
#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

using model::IpAddress;

void add_destinations(model::VirtualService& virtual_service, const Config& config,
                      const Service& service, model::Family family, model::Port port) {
  for (const auto& [name, weight] : service.servers) {
    const auto address = config.servers.at(name).address_of(family);
    if (!address) continue;  // refused when the file was read
    virtual_service.destinations[{*address, port}] = {weight, model::Forward::route, 0, 0};
  }
}

void add_services(model::IpvsState& ipvs, const Config& config, const Service& service) {
  for (const IpAddress& vip : service.vips) {
    for (const model::Port port : service.ports) {
      for (const Protocol protocol : service.protocols) {
        model::VirtualService virtual_service;
        virtual_service.scheduler = service.scheduler;
        virtual_service.flags = service.flags;
        virtual_service.persistence_timeout = service.persistence_timeout;
        virtual_service.persistence_prefix = vip.full_prefix();
        add_destinations(virtual_service, config, service, vip.family(), port);
        ipvs[{vip, layer4(protocol), port}] = std::move(virtual_service);
      }
    }
  }
}

/// The signal addresses of every server that some mptcp service uses.
std::map<IpAddress, model::ForwardTarget> signal_targets(const Config& config) {
  std::map<IpAddress, model::ForwardTarget> out;
  for (const auto& [service_name, service] : config.services) {
    if (!service.has(Protocol::mptcp)) continue;
    for (const auto& [name, weight] : service.servers) {
      const Server& server = config.servers.at(name);
      for (const IpAddress& signal : server.signal) {
        const auto address = server.address_of(signal.family());
        if (address) out[signal] = {*address, service.mptcp.join_only};
      }
    }
  }
  return out;
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

}  // namespace

Desired resolve_director(const Config& config, const Director& director) {
  Desired out;
  out.node = director.name;
  out.role = Role::director;
  out.interface = director.interface;

  for (const auto& [name, service] : config.services) {
    add_services(out.state.ipvs, config, service);
    for (const IpAddress& vip : service.vips)
      add_where_clients_look(out.state, director, vip);
  }
  // Without it the clients of a removed server get silence instead of a new connection.
  if (!out.state.ipvs.empty()) out.state.sysctls["net/ipv4/vs/expire_nodest_conn"] = "1";

  auto targets = signal_targets(config);
  for (const auto& [signal, target] : targets)
    add_where_clients_look(out.state, director, signal);
  if (!targets.empty()) {
    const std::set<std::string> clients(director.client_interfaces.begin(),
                                        director.client_interfaces.end());
    out.state.nft.forward = model::SignalForward{clients, director.interface, std::move(targets)};
  }
  return out;
}

}  // namespace lbctl::config
