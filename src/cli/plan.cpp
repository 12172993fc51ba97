#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "report.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

/// A refused plan has none: what stands in the way would make them fail, or worse, succeed.
std::vector<std::string> commands_of(const engine::Preview& preview) {
  if (!preview.refusals.empty()) return {};
  return plan::commands(preview.plan.operations);
}

void print_json(Json json, const config::Desired& wanted, const engine::Preview& preview) {
  const auto& operations = preview.plan.operations;
  json["result"] = !preview.refusals.empty() ? "refused"
                   : operations.empty()      ? "nothing_to_do"
                                             : "changes_pending";
  json["node"] = wanted.node;
  json["role"] = name(wanted.role);
  json["operations"] = plan::to_json(operations);
  json["irrevocable"] = plan::irrevocable(operations);
  json["adopted"] = preview.adopted;
  json["leaving"] =
      plan::to_json(preview.plan.stays, preview.observed, engine::Engine::system_time());
  json["refusals"] = Json::array();
  for (const Error& refusal : preview.refusals)
    json["refusals"].push_back(to_json(refusal));
  json["warnings"] = wanted.warnings;
  print(json);
}

/// The titles are comments in a script.
void print_commands(const config::Desired& wanted, const engine::Preview& preview) {
  const std::string who = "# " + title(wanted);
  if (!preview.refusals.empty()) {
    fmt::print("{}: apply would refuse, and touch nothing\n", who);
  } else if (preview.plan.operations.empty()) {
    fmt::print("{}: nothing to do: the kernel matches the file\n", who);
  } else {
    fmt::print("{}: {} to make, for a root shell (sh -eu)\n{}\n", who,
               count(preview.plan.operations.size(), "change"),
               fmt::join(commands_of(preview), "\n"));
  }
}

void print_text(const Options& options, const config::Desired& wanted,
                const engine::Preview& preview) {
  for (const std::string& warning : wanted.warnings)
    warn(warning);
  for (const Error& refusal : preview.refusals)
    complain(refusal);
  if (options.commands) return print_commands(wanted, preview);
  const std::string who = title(wanted);
  if (!preview.refusals.empty()) {
    fmt::print("{}: apply would refuse, and touch nothing\n", who);
    return;
  }
  for (const std::string& object : preview.adopted)
    fmt::print("{}: {} would be lbctl's from then on\n", who, object);
  if (preview.plan.operations.empty()) {
    fmt::print("{}: nothing to do: the kernel matches the file\n", who);
  } else {
    fmt::print("{}: {} to make\n{}", who, count(preview.plan.operations.size(), "change"),
               plan::render(preview.plan.operations));
  }
  print_leaving(preview.plan.stays, preview.observed);
}

}  // namespace

Exit show_plan(const Options& options, std::string_view command, const Wanted& wanted) {
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return give_up(options, command, kernel.error());
  const auto ledger = engine::peek_ledger(options.state_dir);
  if (!ledger) return give_up(options, command, ledger.error());
  const auto preview =
      engine::Engine(kernel->backends()).preview(goal_of(wanted.desired, options), *ledger);
  if (!preview) return give_up(options, command, preview.error());

  if (options.json) {
    Json json = document(command);
    if (options.commands) json["commands"] = commands_of(*preview);
    print_json(std::move(json), wanted.desired, *preview);
  } else {
    print_text(options, wanted.desired, *preview);
  }
  if (!preview->refusals.empty()) return Exit::failed;
  return options.detailed_exitcode && !preview->plan.operations.empty() ? Exit::pending
                                                                        : Exit::done;
}

Exit plan(const Options& options) {
  const auto wanted = wanted_here(options, "plan");
  return wanted ? show_plan(options, "plan", *wanted) : wanted.error();
}

}  // namespace lbctl::cli
