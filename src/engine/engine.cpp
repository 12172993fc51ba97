#include "lbctl/engine/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <span>

namespace lbctl::engine {

using namespace model;

namespace {

/// Settings that the file needs and this kernel does not have.
void refuse_missing(const NodeState& want, const NodeState& observed, std::vector<Error>& out) {
  for (const auto& [path, value] : want.sysctls) {
    if (observed.sysctls.contains(path) || sysctl_absent_is(path, value)) continue;
    std::string hint = "the device or the kernel feature behind it is missing";
    if (path.starts_with("net/mptcp/")) hint = "needs a kernel with CONFIG_MPTCP";
    if (const auto module = ipvs_sysctl_hint(path); !module.empty()) hint = module;
    if (const auto since = sysctl_since(path); !since.empty())
      hint = fmt::format("needs Linux {} or later; take it out of the file", since);
    out.push_back(
        Error(Errc::unsupported, fmt::format("this kernel has no sysctl {}", sysctl_name(path)))
            .with_hint(std::move(hint)));
  }
}

/// The ledger after the work: only what the kernel really has.
void write_settled(const Ledger& claimed, const NodeState& end, const NodeState& ours,
                   StateDir& state, Report& report) {
  const Ledger settled = settle(claimed, end, ours);
  Result<> written;
  if (settled == Ledger{}) {
    written = state.remove_ledger();
  } else if (settled != claimed) {
    written = state.write_ledger(settled);
  }
  if (!written && !report.error) report.error = std::move(written.error());
}

plan::Before before_of(const Ledger& ledger) {
  return {ledger.sysctls, ledger.limits, ledger.timeouts};
}

bool takes_away(const Operation& operation) {
  return operation.phase > Phase::drain_ipvs;
}

}  // namespace

Goal nothing_left() {
  return {.want = {}, .removal = Reason::going_down, .patience = std::nullopt, .asked = {}};
}

Goal as_before(const Split& split, const Ledger& ledger, const NodeState& next) {
  Goal out{.want = split.ours, .removal = Reason::reverting};
  out.patience->steering = 0;  // nobody relies on it yet
  // Settings of the whole namespace that were nobody's go back to what the ledger found.
  std::erase_if(out.want.sysctls,
                [&](const auto& entry) { return !ledger.sysctls.contains(entry.first); });
  if (!ledger.limits) out.want.mptcp.limits.reset();
  out.want.ipvs_node.timeouts = out.want.ipvs_node.timeouts.only(ledger.timeouts);
  out.want.nft.intact = out.want.nft.marks_intact = true;
  for (auto& [unit, how] : out.want.units.mptcpized)
    how.intact = true;
  // A program that was replaced is gone; the new one reads the same tables.
  for (auto& [device, attachment] : out.want.xdp.attachments)
    if (const auto it = next.xdp.attachments.find(device); it != next.xdp.attachments.end())
      attachment = it->second;
  for (auto& [key, settings] : out.want.addresses)
    settings.announce = key.device != "lo";
  return out;
}

UnixTime Engine::system_time() {
  return UnixTime{std::chrono::duration_cast<std::chrono::seconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count()};
}

kernel::Backend* Engine::backend_for(Subsystem subsystem) const {
  const auto it = std::ranges::find(backends_, subsystem, &kernel::Backend::subsystem);
  return it == backends_.end() ? nullptr : *it;
}

Result<> Engine::observe(const Scope& scope, Observed& out) {
  for (kernel::Backend* backend : backends_)
    if (auto read = backend->observe(scope, out); !read) return read;
  return {};
}

Result<Preview> Engine::preview(const Goal& goal, const Ledger& ledger) {
  Preview out;
  if (auto read = observe(scope_of(goal.want, ledger), out.observed); !read)
    return fail(std::move(read.error()));
  out.split = split(std::move(out.observed.state), ledger);
  out.observed.state = {};
  if (goal.adopt) out.adopted = adopt(goal.want, out.split);
  if (auto used = plan::addresses_to_count(goal.want, out.split.ours); !used.empty()) {
    const Scope scope{
        .sysctls = {}, .addresses = false, .units = false, .sockets = std::move(used)};
    Observed counted;  // its own: each look starts from nothing
    if (auto read = observe(scope, counted); !read) return fail(std::move(read.error()));
    out.observed.sockets = std::move(counted.sockets);
  }
  out.refusals = conflicts(goal.want, out.split);
  refuse_missing(goal.want, out.split.ours, out.refusals);
  out.plan = plan::make({.want = goal.want,
                         .have = out.split.ours,
                         .observed = out.observed,
                         .before = before_of(ledger),
                         .removal = goal.removal,
                         .recorded = ledger.leaving,
                         .asked = goal.asked,
                         .patience = goal.patience,
                         .now = clock_()});
  return out;
}

Result<Report> Engine::apply(const Goal& goal, StateDir& state, const Stop& stop) {
  auto ledger = state.read_ledger();
  if (!ledger) return fail(ledger.error());
  auto before = preview(goal, *ledger);
  if (!before) return fail(std::move(before.error()));
  Report report;
  report.adopted = std::move(before->adopted);
  if (!before->refusals.empty()) {
    report.operations = std::move(before->plan.operations);
    report.refusals = std::move(before->refusals);
    return report;
  }

  Ledger claimed = claim(*ledger, goal.want, before->split.ours);
  claimed.leaving = before->plan.leaving;
  if (claimed != *ledger)
    if (auto written = state.write_ledger(claimed); !written)
      return fail(std::move(written.error()).during("nothing was changed"));
  report.figures = std::move(before->observed);
  if (before->plan.operations.empty()) {
    write_settled(claimed, before->plan.end ? *before->plan.end : goal.want, before->split.ours,
                  state, report);
    report.stays = std::move(before->plan.stays);
    return report;
  }

  carry_out(goal, claimed, before->plan, report, stop);
  const bool failed = report.error && report.done < report.operations.size();
  if (failed && !stop() && !takes_away(report.operations[report.done])) {
    // The deadlines of what should have left were for this run only: the next one may come late.
    claimed.leaving = std::move(ledger->leaving);
    const Goal back = as_before(before->split, *ledger, goal.want);
    revert(back, claimed, state, report);
    verify(back, claimed, std::move(before->plan), state, report);
  } else {
    before->split = {};
    verify(goal, claimed, std::move(before->plan), state, report);
  }
  return report;
}

void Engine::carry_out(const Goal& goal, const Ledger& claimed, plan::Plan& plan, Report& report,
                       const Stop& stop) {
  report.operations = std::move(plan.operations);
  const std::size_t planned = report.operations.size();
  const std::size_t first = plan.first;
  execute(report, first, stop);
  if (report.error || first == planned) return;
  if (first != 0) {
    // Connections may have begun between the first count and the moment when weights went to 0.
    auto again = preview(goal, claimed);
    if (!again) {
      report.error = std::move(again.error()).during("count the connections again");
      return;
    }
    plan = std::move(again->plan);
    report.figures = std::move(again->observed);
    report.operations.resize(first);
    std::ranges::move(plan.operations, std::back_inserter(report.operations));
    if (report.operations.size() < planned)
      report.notes.emplace_back(
          "connections began while this was at work; what they use stays and drains");
  }
  execute(report, report.operations.size(), stop);
}

void Engine::revert(const Goal& goal, Ledger& claimed, StateDir& state, Report& report) {
  auto preview = this->preview(goal, claimed);
  if (!preview) {
    report.revert_error = std::move(preview.error());
    return;
  }
  // What was added and is in use by now drains; what was leaving before is part of the goal.
  Leaving more = preview->plan.leaving;
  claimed.leaving.destinations.merge(more.destinations);
  claimed.leaving.addresses.merge(more.addresses);
  claimed.leaving.marked_vips.merge(more.marked_vips);
  claimed.leaving.steered.merge(more.steered);
  claimed.leaving.server_ids.merge(more.server_ids);
  const auto written = state.write_ledger(claimed);
  Report reverting;
  carry_out(goal, claimed, preview->plan, reverting, [] { return false; });
  report.revert_error = std::move(reverting.error);
  if (!written && !report.revert_error) report.revert_error = written.error();
  reverting.operations.resize(reverting.done);
  report.reverted = std::move(reverting.operations);
  std::ranges::move(reverting.notes, std::back_inserter(report.notes));
}

void Engine::verify(const Goal& goal, const Ledger& claimed, plan::Plan plan, StateDir& state,
                    Report& report) {
  Observed after;
  if (auto read = observe(scope_of(goal.want, claimed), after); !read) {
    if (!report.error) report.error = std::move(read.error()).during("read back");
    return;
  }
  const NodeState ours = split(std::move(after.state), claimed).ours;
  const NodeState& end = plan.end && !report.error ? *plan.end : goal.want;
  if (!report.error) report.still_differs = plan::diff(end, ours, before_of(claimed), goal.removal);
  write_settled(claimed, end, ours, state, report);
  report.stays = std::move(plan.stays);
  report.figures.ipvs_counters = std::move(after.ipvs_counters);
}

void Engine::execute(Report& report, std::size_t end, const Stop& stop) {
  const std::span<const Operation> all = std::span(report.operations).first(end);
  while (report.done < all.size() && !report.error) {
    if (stop()) {
      report.error = Error(Errc::system, "stopped by a signal").with_hint("run it again to go on");
      return;
    }
    const Subsystem subsystem = subsystem_of(all[report.done].action);
    std::size_t run_end = report.done;
    while (run_end < all.size() && subsystem_of(all[run_end].action) == subsystem)
      ++run_end;
    kernel::Backend* backend = backend_for(subsystem);
    if (backend == nullptr) {
      report.error = Error(Errc::unsupported, fmt::format("no backend for {}", name(subsystem)));
      return;
    }
    auto outcome = backend->execute(all.subspan(report.done, run_end - report.done));
    report.done += outcome.done;
    std::ranges::move(outcome.notes, std::back_inserter(report.notes));
    report.error = std::move(outcome.error);
  }
}

}  // namespace lbctl::engine
