// What must hold within a service, between services, and between a service and its servers.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "draft.hpp"
#include "rules_listeners.hpp"
#include "rules_mptcp.hpp"
#include "text.hpp"

namespace lbctl::config {
namespace {

using model::Family;

/// tcp beside mptcp, udp beside quic: the same packets twice.
void check_protocols(const DraftService& service, Report& report) {
  const auto exclude = [&](Protocol plain, Protocol special) {
    if (!service.has(plain) || !service.has(special)) return;
    const auto& items = service.protocols.items;
    const auto at = std::ranges::find(items, plain, &Spanned<Protocol>::value)->at;
    report.error(
        at, fmt::format("{} and {} on one port", name(plain), name(special)),
        fmt::format("{} is {} already: leave \"{}\" out", name(special), name(plain), name(plain)));
  };
  exclude(Protocol::tcp, Protocol::mptcp);
  exclude(Protocol::udp, Protocol::quic);
}

void check_tables(const DraftService& service, Report& report) {
  if (!service.protocols.whole) return;
  if (service.has(Protocol::quic) && !service.quic) {
    report.error(
        service.at,
        fmt::format("service {} has quic, but no [services.{}.quic]", service.name, service.name),
        "its cid tells where the server id stands in a connection ID");
  }
  const auto unused = [&](const std::optional<Span>& table, Protocol protocol) {
    if (!table || service.has(protocol)) return;
    report.warning(
        *table,
        fmt::format("this has no effect: service {} has no {}", service.name, name(protocol)),
        fmt::format("add \"{}\" to its protocols, or leave this out", name(protocol)));
  };
  unused(service.mptcp, Protocol::mptcp);
  unused(service.quic, Protocol::quic);
}

void check_scheduler(const DraftService& service, Report& report) {
  const model::SchedulerInfo* scheduler = model::find_scheduler(service.scheduler.value);
  if (!scheduler) {
    std::vector<std::string> known;
    for (const auto& info : model::schedulers())
      known.emplace_back(info.name);
    report.error(service.scheduler.at,
                 fmt::format("unknown scheduler \"{}\"", service.scheduler.value),
                 fmt::format("known: {}", listed(known)));
    return;
  }
  bool fallback = false;
  for (const auto& flag : service.flags.items) {
    fallback = fallback || flag.value == scheduler->flag1;
    if (!flag.value.empty() && (flag.value == scheduler->flag1 || flag.value == scheduler->flag2)) {
      continue;
    }
    const std::vector<std::string> known = {std::string(scheduler->flag1),
                                            std::string(scheduler->flag2)};
    report.error(flag.at,
                 fmt::format("scheduler {} knows no flag \"{}\"", scheduler->name, flag.value),
                 scheduler->flag1.empty() ? "it has no flags"
                                          : fmt::format("its flags are {}", either(quoted(known))));
  }
  // ip_vs_mh and ip_vs_sh without fallback drop what hashes to a server of weight 0.
  if (!scheduler->flag1.empty() && !fallback && service.flags.whole) {
    report.warning(
        service.scheduler.at,
        fmt::format("{} without {}: while a server has weight 0 its share of new clients is lost",
                    scheduler->name, scheduler->flag1),
        fmt::format("scheduler_flags = [\"{}\", \"{}\"]", scheduler->flag2, scheduler->flag1));
  }
}

/// A server of the service can't take what comes to a VIP of this family.
void check_families(const DraftService& service, const Servers& servers, Report& report) {
  std::set<Family> done;
  for (const auto& vip : service.vips.items) {
    const Family family = vip.value.family();
    if (!done.insert(family).second) continue;
    std::vector<std::string> without;
    for (const auto& use : service.servers.items) {
      const DraftServer& server = *servers.at(use.value.name);
      const bool known = server.addresses.whole && !server.addresses.items.empty();
      if (known && !server.has_address_of(family)) without.push_back(server.name);
    }
    if (without.empty()) continue;
    report.error(
        vip.at,
        fmt::format("the VIP is {}, but {} {} no {} address", name(family), listed(without),
                    without.size() == 1 ? "has" : "have", name(family)),
        fmt::format("give {} {} address, or make two services", without.size() == 1 ? "it" : "them",
                    family == Family::v4 ? "an IPv4" : "an IPv6"));
  }
}

void check_weights(const DraftService& service, Report& report) {
  const auto& items = service.servers.items;
  if (items.empty()) {
    // An empty list or table has been reported as such.
    if (service.servers.whole && service.servers.key.offset == service.at.offset) {
      report.error(service.at, fmt::format("service {} has no servers", service.name),
                   "servers are declared as [servers.NAME]");
    }
    return;
  }
  if (std::ranges::all_of(items, [](const auto& use) { return use.value.weight == 0; })) {
    report.warning(service.servers.key, "every weight is 0: new clients are refused");
  }
}

void check_whole_file(const Draft& draft, Report& report) {
  const bool mptcp = std::ranges::any_of(
      draft.services, [](const DraftService& service) { return service.has(Protocol::mptcp); });
  if (draft.limits && draft.limits->value.subflows == 0 && mptcp) {
    report.warning(draft.limits->at, "subflows 0: the real servers reject every join",
                   "the kernel's own limit is 2");
  }
  if (!draft.services.empty() && draft.directors.empty() && !report.has_errors()) {
    report.warning(draft.services.front().at, "no [directors.NAME]: no node balances this");
  }
}

}  // namespace

void check_services(const Draft& draft, Report& report) {
  const Servers servers = draft.servers_by_name();
  Listeners listeners(report);
  SignalUse signals(servers, report);
  for (const DraftService& service : draft.services) {
    check_protocols(service, report);
    check_tables(service, report);
    check_scheduler(service, report);
    check_families(service, servers, report);
    check_cids(service, servers, report);
    check_weights(service, report);
    check_forward(service, report);
    check_guard(service, report);
    listeners.add(service);
    signals.add(service);
  }
  signals.check_ports(listeners);
  check_ways_back(draft, report);
  check_whole_file(draft, report);
}

}  // namespace lbctl::config
