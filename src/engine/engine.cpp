#include "lbctl/engine/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>

namespace lbctl::engine {

using namespace model;

namespace {

/// Settings that the file needs and this kernel does not have.
void refuse_missing(const NodeState& want, const NodeState& observed, std::vector<Error>& out) {
  for (const auto& [path, value] : want.sysctls) {
    if (observed.sysctls.contains(path)) continue;
    std::string hint = "the device or the kernel feature behind it is missing";
    if (path.starts_with("net/mptcp/")) hint = "needs a kernel with CONFIG_MPTCP";
    if (path.starts_with("net/ipv4/vs/")) hint = "modprobe ip_vs (kernel option CONFIG_IP_VS)";
    out.push_back(
        Error(Errc::unsupported, fmt::format("this kernel has no sysctl {}", sysctl_name(path)))
            .with_hint(std::move(hint)));
  }
}

/// The ledger after the work: only what the kernel really has.
void write_settled(const Ledger& claimed, const Goal& goal, const NodeState& observed,
                   StateDir& state, Report& report) {
  const Ledger settled = settle(claimed, goal.want, observed);
  Result<> written;
  if (settled == Ledger{}) {
    written = state.remove_ledger();
  } else if (settled != claimed) {
    written = state.write_ledger(settled);
  }
  if (!written && !report.error) report.error = std::move(written.error());
}

plan::Before before_of(const Ledger& ledger) {
  return {ledger.sysctls, ledger.limits};
}

}  // namespace

kernel::Backend* Engine::backend_for(Subsystem subsystem) const {
  const auto it = std::ranges::find(backends_, subsystem, &kernel::Backend::subsystem);
  return it == backends_.end() ? nullptr : *it;
}

Result<Observed> Engine::observe(const Scope& scope) {
  Observed out;
  for (kernel::Backend* backend : backends_)
    if (auto read = backend->observe(scope, out); !read) return fail(std::move(read.error()));
  return out;
}

Result<Preview> Engine::preview(const Goal& goal, const Ledger& ledger) {
  auto observed = observe(scope_of(goal.want, ledger));
  if (!observed) return fail(std::move(observed.error()));
  Preview out;
  out.observed = std::move(*observed);
  out.split = split(out.observed.state, ledger);
  out.refusals = conflicts(goal.want, out.split);
  refuse_missing(goal.want, out.observed.state, out.refusals);
  out.operations = plan::diff(goal.want, out.split.ours, before_of(ledger), goal.removal);
  return out;
}

Result<Report> Engine::apply(const Goal& goal, StateDir& state, const std::function<bool()>& stop) {
  auto ledger = state.read_ledger();
  if (!ledger) return fail(std::move(ledger.error()));
  auto before = preview(goal, *ledger);
  if (!before) return fail(std::move(before.error()));
  Report report;
  report.operations = std::move(before->operations);
  if (!before->refusals.empty()) {
    report.refusals = std::move(before->refusals);
    return report;
  }

  const Ledger claimed = claim(*ledger, goal.want, before->observed.state);
  if (claimed != *ledger)
    if (auto written = state.write_ledger(claimed); !written)
      return fail(std::move(written.error()).during("nothing was changed"));
  if (report.operations.empty()) {
    write_settled(claimed, goal, before->observed.state, state, report);
    return report;
  }
  execute(report, stop);

  auto after = preview(goal, claimed);
  if (!after) {
    if (!report.error) report.error = std::move(after.error()).during("read back");
    return report;
  }
  if (!report.error) report.still_differs = std::move(after->operations);
  write_settled(claimed, goal, after->observed.state, state, report);
  return report;
}

void Engine::execute(Report& report, const std::function<bool()>& stop) {
  const std::span<const Operation> all = report.operations;
  while (report.done < all.size() && !report.error) {
    if (stop()) {
      report.error = Error(Errc::system, "stopped by a signal").with_hint("run it again to go on");
      return;
    }
    const Subsystem subsystem = subsystem_of(all[report.done].action);
    std::size_t end = report.done;
    while (end < all.size() && subsystem_of(all[end].action) == subsystem)
      ++end;
    kernel::Backend* backend = backend_for(subsystem);
    if (backend == nullptr) {
      report.error = Error(Errc::unsupported, fmt::format("no backend for {}", name(subsystem)));
      return;
    }
    auto outcome = backend->execute(all.subspan(report.done, end - report.done));
    report.done += outcome.done;
    std::ranges::move(outcome.notes, std::back_inserter(report.notes));
    report.error = std::move(outcome.error);
  }
}

}  // namespace lbctl::engine
