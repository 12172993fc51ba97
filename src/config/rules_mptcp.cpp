#include "rules_mptcp.hpp"

#include <fmt/format.h>

#include "ranges.hpp"

namespace lbctl::config {

using model::Family;
using model::Port;

void SignalUse::add(const DraftService& service) {
  if (service.port_base && service.signal.value != Signal::port && service.signal_known)
    report_.error(service.port_base->at, "port_base has no effect without signal = \"port\"",
                  "write signal = \"port\" beside it, or leave it out");
  if (service.has_mptcp_by(Signal::address) && service.signal_known) by_address(service);
  if (service.has_mptcp_by(Signal::port) && service.signal_known) by_port(service);
}

void SignalUse::by_address(const DraftService& service) {
  if (service.via.value == Via::ipvs && !service.ranges.items.empty())
    report_.error(
        service.via.at,
        fmt::format("via = \"ipvs\" does not work with {}: IPVS knows a signal address by "
                    "single ports",
                    service.ranges.items.front().value.text()),
        "via = \"forward\" takes every port of the address");
  for (const auto& use : service.servers.items) {
    const DraftServer& server = *servers_.at(use.value.name);
    for (const auto& vip : service.vips.items)
      need_signal(service, server, vip.value.family());
    const auto [first, is_new] = by_address_.emplace(&server, &service);
    if (!is_new) agree(service, *first->second, server);
  }
}

void SignalUse::need_signal(const DraftService& service, const DraftServer& server, Family family) {
  if (!server.signal.whole || server.has_signal_of(family)) return;
  if (!reported_.emplace(&server, family).second) return;
  report_.error(server.signal.key,
                fmt::format("server {} has no {} signal address, but service {} has mptcp on {}",
                            server.name, name(family), service.name, name(family)),
                "joins find their server by an address that is its alone; add one to signal");
}

void SignalUse::agree(const DraftService& service, const DraftService& first,
                      const DraftServer& server) {
  if (disagreeing_.contains(&service)) return;
  const std::string shared = service.signal.value == Signal::address
                                 ? "the server's signal addresses, which they share"
                                 : "the server's port of the VIP, which they share";
  const auto refuse = [&](Span at, std::string_view key, const auto& here, const auto& there) {
    disagreeing_.insert(&service);
    report_.error(at,
                  fmt::format("{} is {} here and {} in service {}, and both use server {}", key,
                              here, there, first.name, server.name),
                  fmt::format("it is about {}", shared));
  };
  if (first.via.value != service.via.value)
    refuse(service.via.at, "via", name(service.via.value), name(first.via.value));
  else if (first.join_only.value != service.join_only.value)
    refuse(service.join_only.at, "join_only", service.join_only.value, first.join_only.value);
}

void SignalUse::by_port(const DraftService& service) {
  if (service.via.value == Via::direct)
    report_.error(
        service.via.at,
        "signal = \"port\" does not work with via = \"direct\": networks route by address, "
        "not by port",
        "via = \"forward\" or \"ipvs\"; or signal = \"address\"");
  if (!service.port_base) {
    report_.error(service.signal.at, "signal = \"port\" needs port_base",
                  "port_base = 44300: server id 1 then has port 44301 of the VIP");
    return;
  }
  for (const auto& vip : service.vips.items) {
    if (vip.value.is_v4()) continue;
    report_.error(
        vip.at,
        "signal = \"port\" does not work on IPv6: with TCP timestamps, which Linux has on, "
        "an IPv6 address with a port does not fit into the options and is never announced",
        "make a service of its own for IPv6 with signal = \"address\"");
  }
  for (const auto& use : service.servers.items) {
    const DraftServer& server = *servers_.at(use.value.name);
    if (!server.id) continue;
    const model::ServerId most{
        .low = static_cast<std::uint64_t>(port_range.most - service.port_base->value)};
    if (server.id->value > most) {
      report_.error(
          service.port_base->at,
          fmt::format("port_base {} and id {} of server {} are above {}", service.port_base->value,
                      server.id->value.text(), server.name, port_range.most),
          "choose a lower port_base or a lower id");
      continue;
    }
    for (const auto& vip : service.vips.items)
      if (vip.value.is_v4()) claim_port(service, server, vip.value);
  }
}

void SignalUse::claim_port(const DraftService& service, const DraftServer& server,
                           const model::IpAddress& vip) {
  const Port port{static_cast<std::uint16_t>(service.port_base->value + server.id->value.low)};
  const auto [owner, is_new] =
      ports_.emplace(model::EndpointKey{vip, port}, PortOwner{&service, &server});
  if (is_new) return;
  if (owner->second.server == &server) {
    agree(service, *owner->second.service, server);
  } else if (clashing_.insert(&service).second) {
    report_.error(service.port_base->at,
                  fmt::format("{} would belong to server {} and, in service {}, to server {}",
                              owner->first.text(), server.name, owner->second.service->name,
                              owner->second.server->name),
                  "services that share a VIP need the same port_base or ones far enough apart");
  }
}

void SignalUse::check_ports(const Listeners& listeners) {
  for (const auto& [key, owner] : ports_) {
    const DraftService* taken = listeners.owner(key.address, model::L4::tcp, key.port);
    if (taken && clashing_.insert(owner.service).second)
      report_.error(owner.service->port_base->at,
                    fmt::format("{}, the port of server {}, is a port of service {}", key.text(),
                                owner.server->name, taken->name),
                    "choose a port_base so that no server's port is one of a service");
  }
  check_endpoints();
}

void SignalUse::check_endpoints() {
  std::map<const DraftServer*, std::pair<std::size_t, const DraftService*>> with_ports;
  for (const auto& [key, owner] : ports_) {
    auto& [count, service] = with_ports[owner.server];
    ++count;
    service = owner.service;
  }
  for (const auto& [server, ports] : with_ports) {
    const std::size_t addresses = by_address_.contains(server) ? server->signal.items.size() : 0;
    const std::size_t all = ports.first + addresses;
    if (all <= model::max_mptcp_endpoints) continue;
    report_.error(ports.second->port_base->at,
                  fmt::format("server {} has {} ports of VIPs and {} signal addresses, the kernel "
                              "holds {} endpoints",
                              server->name, ports.first, addresses, model::max_mptcp_endpoints),
                  "each is announced on every connection: fewer VIPs with signal = \"port\"");
  }
}

}  // namespace lbctl::config
