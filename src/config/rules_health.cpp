// What must hold between services' health checks, their servers and each other.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "draft.hpp"

namespace lbctl::config {
namespace {

using ByName = std::map<std::string_view, const DraftService*>;

/// What of the service the question is put to.
bool fits(CheckType type, const DraftService& service) {
  switch (type) {
    case CheckType::mptcp:
      return service.has(Protocol::mptcp);
    case CheckType::quic:
      return service.has(Protocol::quic);
    default:
      return true;
  }
}

void check_type(const DraftService& service, Report& report) {
  const CheckType type = service.check->value.type;
  if (service.protocols.whole && !fits(type, service))
    report.error(
        service.check->at,
        fmt::format("type \"{}\", but service {} has no {}", name(type), service.name, name(type)),
        "\"tcp\" fits every service");
}

/// What only a daemon that knows of servers' health could bring about.
void check_needs_health(const DraftService& service, Report& report) {
  const bool known = service.check || service.track;
  const auto needs = [&](const auto& at, std::string_view what) {
    report.warning(at,
                   fmt::format("{} has no effect: nothing tells whether servers of service {} are "
                               "healthy",
                               what, service.name),
                   "check = { type = \"tcp\" }");
  };
  if (service.quorum && !known) needs(service.quorum->at, "quorum");
  if (service.sorry_server && !known) needs(service.sorry_server->at, "sorry_server");
}

void check_quorum(const DraftService& service, Report& report) {
  if (!service.quorum || !service.servers.whole) return;
  std::uint64_t sum = 0;
  for (const auto& use : service.servers.items)
    sum += use.value.weight;
  if (sum < service.quorum->value.up)
    report.warning(service.quorum->at,
                   fmt::format("the weights of all servers together, {}, make no quorum of {}", sum,
                               service.quorum->value.up),
                   "quorum counts weights, not servers");
}

void check_sorry(const DraftService& service,
                 const std::map<std::string_view, const DraftServer*>& servers, Report& report) {
  if (!service.sorry_server) return;
  const auto& [name, at] = *service.sorry_server;
  if (std::ranges::any_of(service.servers.items,
                          [&](const auto& use) { return use.value.name == name; }))
    report.error(at, fmt::format("{} is among the servers that it stands in for", name),
                 "leave it out of servers");
  if (service.health.fail_open != 0)
    report.error(at, "sorry_server and fail_open: which of them, when all servers fail?",
                 "leave one of them out");
  const DraftServer& server = *servers.at(name);
  if (!server.addresses.whole) return;
  for (const auto& vip : service.vips.items)
    if (!server.has_address_of(vip.value.family())) {
      report.error(at, fmt::format("{} has no {} address, but the service a VIP", name,
                                   model::name(vip.value.family())));
      return;
    }
}

/// Whether its checks go through IPVS, by the server's mark.
bool by_mark(const DraftService& service) {
  if (!service.check) return false;
  const HealthCheck& check = service.check->value;
  return check.through_vip || (check.type == CheckType::mptcp && service.via.value == Via::ipvs);
}

void check_ids(const DraftService& service, const Draft& draft, Report& report) {
  if (!by_mark(service)) return;
  const auto servers = draft.servers_by_name();
  for (const auto& use : service.servers.items) {
    const DraftServer& server = *servers.at(use.value.name);
    if (server.id && server.id->value > model::ServerId{UINT16_MAX})
      report.error(server.id->at,
                   fmt::format("the check of service {} needs ids up to 65535", service.name),
                   "it goes through IPVS by a mark with the server's id");
  }
}

/// What comes for a VIP reaches a server by IPVS only under direct routing: through a tunnel or
/// under masquerade the director would have to be its own client.
void check_through_vip(const DraftService& service, const Draft& draft, Report& report) {
  if (!service.check || !service.check->value.through_vip) return;
  const Span at = service.check->at;
  if (service.forward_known && service.forward.value != model::Forward::route)
    report.error(at, "via = \"vip\" is for forward = \"dr\"", "via = \"address\"");
  for (const auto& vip : service.vips.items)
    for (const DraftDirector& director : draft.directors) {
      const auto same = [&](const auto& item) { return item.value.family() == vip.value.family(); };
      if (director.addresses.whole && std::ranges::none_of(director.addresses.items, same))
        report.error(at, fmt::format("director {} has no {} address from which it could ask",
                                     director.name, name(vip.value.family())));
    }
}

/// Marks of services and those of checks through the VIP.
void check_marks_apart(const Draft& draft, Report& report) {
  const bool used = std::ranges::any_of(draft.services, by_mark);
  for (const DraftService& service : draft.services)
    if (used && service.fwmark && (service.fwmark->value & ~UINT16_MAX) == check_marks)
      report.error(service.fwmark->at,
                   "marks from 0x6c620000 to 0x6c62ffff are for checks through IPVS");
}

void check_track(const DraftService& service, const ByName& all, Report& report) {
  if (!service.track) return;
  std::set<std::string_view> seen{service.name};
  for (const DraftService* next = &service; next->track;) {
    const std::string& name = next->track->value;
    const auto found = all.find(name);
    if (found == all.end()) {
      if (next == &service && !report.partial())
        report.error(service.track->at, fmt::format("there is no service \"{}\"", name));
      return;
    }
    if (!seen.insert(name).second) {
      report.error(service.track->at, "services track each other in a circle");
      return;
    }
    next = found->second;
  }
}

}  // namespace

void check_health(const Draft& draft, Report& report) {
  ByName all;
  for (const DraftService& service : draft.services)
    all.emplace(service.name, &service);
  const auto servers = draft.servers_by_name();
  for (const DraftService& service : draft.services) {
    if (service.check) check_type(service, report);
    check_needs_health(service, report);
    check_quorum(service, report);
    check_sorry(service, servers, report);
    check_track(service, all, report);
    check_through_vip(service, draft, report);
    check_ids(service, draft, report);
  }
  check_marks_apart(draft, report);
}

}  // namespace lbctl::config
