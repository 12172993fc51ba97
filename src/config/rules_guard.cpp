// What must hold for the guard of a service.
#include <fmt/format.h>

#include "draft.hpp"

namespace lbctl::config {
namespace {

void check_limit(const DraftRate& limit, std::string_view key, Report& report) {
  if (limit.burst && !limit.rate && limit.whole)
    report.error(limit.burst->at, fmt::format("{0}_burst without {0}_rate", key),
                 fmt::format("write {}_rate beside it, or leave it out", key));
}

}  // namespace

void check_guard(const DraftService& service, Report& report) {
  const DraftGuard& guard = service.guard;
  if (!guard.at || !service.protocols.whole) return;
  check_limit(guard.syn, "syn", report);
  check_limit(guard.join, "join", report);
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
  if (guard.join.rate && !service.has(Protocol::mptcp))
    report.error(guard.join.rate->at,
                 fmt::format("join_rate, but service {} has no mptcp", service.name),
                 "add \"mptcp\" to its protocols, or leave this out");
  const bool limits = guard.syn.rate || guard.join.rate || !guard.syn.whole || !guard.join.whole;
  if (guard.sources && !limits)
    report.warning(*guard.sources, "this has no effect without syn_rate or join_rate",
                   "it tells which sources these rates count as one");
}

}  // namespace lbctl::config
