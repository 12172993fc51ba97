#include "rules_listeners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace lbctl::config {

using model::L4;
using model::MarkKey;
using model::Port;
using model::PortRange;

namespace {

/// IPVS knows a service by one port, or by a firewall mark, with which every port may come.
void check_ranges(const DraftService& service, Report& report) {
  if (service.check && service.check->value.type != CheckType::exec &&
      service.check->value.port == 0 && service.ports.whole && service.ports.items.empty() &&
      !service.ranges.items.empty())
    report.error(service.check->at, "this check needs a port: the service has no single one",
                 "port = 443 (where its servers answer the check)");
  for (const auto& range : service.ranges.items) {
    if (!service.fwmark)
      report.error(range.at,
                   fmt::format("{} need a firewall mark: IPVS has one port for each service",
                               range.value == model::all_ports ? "all ports" : "ranges of ports"),
                   "fwmark = 7 (any number that nothing else on the director marks packets with)");
    if (service.has(Protocol::quic))
      report.error(range.at, "quic needs single ports: the real servers steer by address and port",
                   "name each port, or make a service of its own for quic");
  }
}

}  // namespace

void Listeners::add(const DraftService& service) {
  check_ranges(service, report_);
  add_mark(service);
  std::set<L4> protocols;
  for (const auto& protocol : service.protocols.items)
    protocols.insert(layer4(protocol.value));
  for (const auto& vip : service.vips.items) {
    for (const L4 protocol : protocols) {
      for (const auto& port : service.ports.items)
        add(service, vip, protocol, {Port{port.value}, Port{port.value}});
      for (const auto& range : service.ranges.items)
        add(service, vip, protocol, range.value);
    }
  }
}

const DraftService* Listeners::owner(const model::IpAddress& vip, L4 protocol, Port port) const {
  const auto stretches = taken_.find({vip, protocol});
  if (stretches == taken_.end()) return nullptr;
  const auto found = stretches->second.lower_bound(port);
  const bool holds = found != stretches->second.end() && found->second.ports.first <= port;
  return holds ? found->second.service : nullptr;
}

void Listeners::add_mark(const DraftService& service) {
  if (!service.fwmark) return;
  const auto [owner, is_new] =
      marks_.emplace(service.fwmark->value, std::pair{&service, service.fwmark->at});
  if (is_new) return;
  report_.error(service.fwmark->at, fmt::format("fwmark {} is taken", service.fwmark->value),
                fmt::format("{}: service {}", report_.place(owner->second.second),
                            owner->second.first->name));
}

void Listeners::add(const DraftService& service, const Spanned<model::IpAddress>& vip, L4 protocol,
                    const PortRange& ports) {
  Stretches& stretches = taken_[{vip.value, protocol}];
  const auto found = stretches.lower_bound(ports.first);
  if (found == stretches.end() || !found->second.ports.overlaps(ports)) {
    stretches.emplace(ports.last, Owner{&service, vip.at, ports});
    return;
  }
  const Owner& owner = found->second;
  if (owner.service == &service) return;  // the list of ports was reported
  const std::string mine = MarkKey{vip.value, protocol, ports}.text();
  const std::string place =
      fmt::format("{}: service {}", report_.place(owner.vip), owner.service->name);
  if (owner.ports == ports)
    report_.error(vip.at, fmt::format("{} is taken", mine), place);
  else
    report_.error(
        vip.at,
        fmt::format("{} overlaps {}", mine, MarkKey{vip.value, protocol, owner.ports}.text()),
        place);
}

}  // namespace lbctl::config
