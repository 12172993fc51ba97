// `mptcpize`: by hand what servers.*.mptcpize does by the file. It needs no file: the drop-ins
// themselves say whose wish they are (docs/decisions/0020).
#include <fmt/format.h>

#include <algorithm>

#include "lbctl/kernel/systemd.hpp"
#include "lbctl/kernel/units.hpp"
#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"
#include "report.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

using model::MptcpWay;
using model::UnitState;

struct Choice {
  MptcpWay way = MptcpWay::preload;
  std::string why;
};

Result<Choice> choose_way(const Options& options) {
  if (options.way == name(MptcpWay::preload))
    return Choice{MptcpWay::preload, "preload: as asked for"};
  const auto hook = kernel::check_socket_hook();
  if (options.way && !hook) return fail(hook.error());
  if (options.way) return Choice{MptcpWay::bpf, "bpf: as asked for"};
  const model::UnitFacts facts{.socket_hook = hook.has_value(), .library = {}, .by_hand = {}};
  return Choice{config::better_way(facts),
                hook ? "bpf: this kernel has the hook, and it works for programs of any kind"
                     : "preload: " + hook.error().text()};
}

Result<> check_names(const Options& options, const kernel::UnitPlace& place) {
  for (const std::string& unit : options.units) {
    if (const auto trouble = model::unit_name_trouble(unit); !trouble.empty())
      return fail(Error(Errc::invalid, fmt::format("\"{}\" {}", unit, trouble))
                      .with_hint("name systemd services, such as nginx.service"));
    if (!options.undo && !kernel::unit_exists(place, unit))
      return fail(Error(Errc::not_found, fmt::format("no unit {} is installed here", unit))
                      .with_hint("systemctl list-unit-files --type=service"));
  }
  return {};
}

Result<UnitState> read_units(kernel::Backend& backend) {
  model::Observed out;
  if (auto read = backend.observe({}, out); !read) return fail(std::move(read.error()));
  return std::move(out.state.units);
}

Result<UnitState> without(UnitState state, const std::vector<std::string>& units) {
  for (const std::string& unit : units) {
    const auto found = state.mptcpized.find(unit);
    if (found == state.mptcpized.end())
      return fail(Error(Errc::not_found, fmt::format("lbctl has not mptcpized {}", unit))
                      .with_hint("lbctl status lists those that it has"));
    if (found->second.asked_by == model::AskedBy::file)
      return fail(Error(Errc::conflict, fmt::format("{} is mptcpized by the file", unit))
                      .with_hint("take it out of servers.*.mptcpize, then lbctl apply"));
    state.mptcpized.erase(found);
  }
  return state;
}

Result<UnitState> with(UnitState state, const std::vector<std::string>& units, MptcpWay way) {
  for (const std::string& unit : units) {
    if (state.foreign.contains(unit))
      return fail(
          Error(Errc::conflict,
                fmt::format("the drop-in of {} is there already, and lbctl did not make it", unit))
              .with_hint("lbctl would put its own file there: move or rename that one"));
    state.mptcpized[unit] = {way, model::AskedBy::hand, true};
  }
  return state;
}

struct Work {
  std::unique_ptr<kernel::Backend> backend;
  UnitState have, want;
  std::string why;  ///< that way
};

Result<Work> prepare(const Options& options) {
  auto place = kernel::unit_place(kernel::find_bpffs(options.state_dir).value_or(""));
  if (!place) return fail(std::move(place.error()));
  if (auto good = check_names(options, *place); !good) return fail(std::move(good.error()));
  place->restarts = options.restart;
  Work out;
  out.backend = kernel::open_units(std::move(*place));
  auto have = read_units(*out.backend);
  if (!have) return fail(std::move(have.error()));
  out.have = *have;
  Choice choice;
  if (!options.undo) {
    auto chosen = choose_way(options);
    if (!chosen) return fail(std::move(chosen.error()));
    choice = std::move(*chosen);
  }
  auto want = options.undo ? without(std::move(*have), options.units)
                           : with(std::move(*have), options.units, choice.way);
  if (!want) return fail(std::move(want.error()));
  out.want = std::move(*want);
  out.why = std::move(choice.why);
  return out;
}

/// Nothing of the node but its units is looked at.
std::vector<model::Operation> difference(const UnitState& want, const UnitState& have) {
  model::NodeState to, from;
  to.units.mptcpized = want.mptcpized;
  from.units.mptcpized = have.mptcpized;
  return plan::diff(to, from, {}, model::Reason::by_hand);
}

engine::Report carry_out(const Options& options, Work& work) {
  engine::Report report;
  report.operations = difference(work.want, work.have);
  if (!report.operations.empty() && !work.why.empty()) report.notes.push_back(work.why);
  auto outcome = work.backend->execute(report.operations);
  report.done = outcome.done;
  report.error = std::move(outcome.error);
  std::ranges::move(outcome.notes, std::back_inserter(report.notes));
  if (report.error) return report;
  const auto now = read_units(*work.backend);
  if (!now) {
    report.error = now.error();
    return report;
  }
  report.still_differs = difference(work.want, *now);
  if (!options.restart || !report.ok() || !kernel::systemd_runs()) return report;
  for (const std::string& unit : options.units) {
    const auto runs = kernel::unit_runs(unit);
    if (runs && !*runs) continue;
    auto restarted = runs ? kernel::restart_unit(unit) : Result<>(std::unexpect, runs.error());
    if (!restarted) {
      report.error = std::move(restarted.error());
      return report;
    }
    report.notes.push_back(fmt::format("{} was restarted", unit));
  }
  return report;
}

Exit show(const Options& options, const Work& work) {
  const auto operations = difference(work.want, work.have);
  if (options.json) {
    Json json = document("mptcpize");
    json["result"] = operations.empty() ? "nothing_to_do" : "changes_pending";
    json["operations"] = plan::to_json(operations);
    json["why"] = work.why;
    print(json);
    return Exit::done;
  }
  if (!work.why.empty()) fmt::print(stderr, "lbctl: note: {}\n", work.why);
  fmt::print("mptcpize: {} to make\n{}", count(operations.size(), "change"),
             plan::render(operations));
  return Exit::done;
}

/// systemd runs it at the start of a unit; what goes wrong is in the unit's journal.
Exit enter(const Options& options) {
  const auto place = kernel::unit_place(kernel::find_bpffs(options.state_dir).value_or(""));
  if (!place) return give_up(options, "mptcpize", place.error());
  const auto entered = kernel::enter_unit(*place, options.enter);
  if (!entered)
    return give_up(options, "mptcpize",
                   Error(entered.error()).during(options.enter + " starts with plain TCP"));
  return Exit::done;
}

}  // namespace

Exit mptcpize(const Options& options) {
  if (!options.enter.empty()) return enter(options);
  if (options.units.empty()) {
    fmt::print(stderr, "lbctl: error: name the services: lbctl mptcpize nginx.service\n");
    return Exit::usage;
  }
  if (options.dry_run) {
    const auto work = prepare(options);
    return work ? show(options, *work) : give_up(options, "mptcpize", work.error());
  }
  auto session = Session::open(options);
  if (!session) return give_up(options, "mptcpize", session.error());
  auto work = prepare(options);
  if (!work) return give_up(options, "mptcpize", work.error());
  const engine::Report report = carry_out(options, *work);
  if (options.json) {
    print_report(document("mptcpize"), report, {});
  } else {
    print_report("mptcpize", "nothing to do: the units are as asked", report);
  }
  return report.ok() ? Exit::done : Exit::failed;
}

}  // namespace lbctl::cli
