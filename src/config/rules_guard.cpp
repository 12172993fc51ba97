// What must hold for the guard of a service.
#include <fmt/format.h>

#include "draft.hpp"

namespace lbctl::config {
namespace {

void check_limit(const DraftRate& limit, Report& report) {
  if (limit.burst && !limit.rate && limit.whole)
    report.error(limit.burst->at, "syn_burst without syn_rate",
                 "write syn_rate beside it, or leave it out");
}

}  // namespace

void check_guard(const DraftService& service, Report& report) {
  const DraftGuard& guard = service.guard;
  check_limit(service.joins, report);
  if (!guard.at || !service.protocols.whole) return;
  check_limit(guard.syn, report);
  if (!service.has(Protocol::tcp) && !service.has(Protocol::mptcp)) {
    report.error(*guard.at, fmt::format("guard, but service {} has no TCP", service.name),
                 "it looks at SYNs: add \"tcp\" or \"mptcp\" to its protocols, or leave this out");
    return;
  }
  if (!service.ranges.items.empty())
    report.error(*guard.at,
                 fmt::format("guard does not work with {}: it knows single ports",
                             service.ranges.items.front().value.text()),
                 "make a service of its own for the ports that are to be guarded");
  const DraftRate& joins = service.joins;
  const bool limits = guard.syn.rate || joins.rate || !guard.syn.whole || !joins.whole;
  if (guard.sources && !limits)
    report.warning(*guard.sources, "this has no effect without syn_rate",
                   "it tells which sources a rate counts as one");
}

}  // namespace lbctl::config
