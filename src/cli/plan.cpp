#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

/// A refused plan has none: what stands in the way would make them fail, or worse, succeed.
std::vector<std::string> commands_of(const engine::Preview& preview) {
  if (!preview.refusals.empty()) return {};
  return plan::commands(preview.operations);
}

void print_json(const Options& options, const config::Desired& wanted,
                const engine::Preview& preview) {
  Json json = document("plan");
  json["result"] = !preview.refusals.empty()    ? "refused"
                   : preview.operations.empty() ? "nothing_to_do"
                                                : "changes_pending";
  json["node"] = wanted.node;
  json["role"] = name(wanted.role);
  json["operations"] = plan::to_json(preview.operations);
  if (options.commands) json["commands"] = commands_of(preview);
  json["refusals"] = Json::array();
  for (const Error& refusal : preview.refusals)
    json["refusals"].push_back(to_json(refusal));
  json["warnings"] = wanted.warnings;
  print(json);
}

void print_text(const Options& options, const config::Desired& wanted,
                const engine::Preview& preview) {
  const char* lead = options.commands ? "# " : "";  // the titles are comments in a script
  for (const std::string& warning : wanted.warnings)
    warn(warning);
  for (const Error& refusal : preview.refusals)
    complain(refusal);
  if (!preview.refusals.empty()) {
    fmt::print("{}{}: apply would refuse, and touch nothing\n", lead, title(wanted));
  } else if (preview.operations.empty()) {
    fmt::print("{}{}: nothing to do: the kernel matches the file\n", lead, title(wanted));
  } else if (options.commands) {
    fmt::print("# {}: {} to make, for a root shell (sh -eu)\n{}\n", title(wanted),
               count(preview.operations.size(), "change"), fmt::join(commands_of(preview), "\n"));
  } else {
    fmt::print("{}: {} to make\n{}", title(wanted), count(preview.operations.size(), "change"),
               plan::render(preview.operations));
  }
}

}  // namespace

Exit plan(const Options& options) {
  const auto wanted = desired(options, "plan");
  if (!wanted) return wanted.error();
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return give_up(options, "plan", kernel.error());
  const auto ledger = engine::peek_ledger(options.state_dir);
  if (!ledger) return give_up(options, "plan", ledger.error());
  const auto preview = engine::Engine(kernel->backends()).preview({wanted->state}, *ledger);
  if (!preview) return give_up(options, "plan", preview.error());

  options.json ? print_json(options, *wanted, *preview) : print_text(options, *wanted, *preview);
  if (!preview->refusals.empty()) return Exit::failed;
  return options.detailed_exitcode && !preview->operations.empty() ? Exit::pending : Exit::done;
}

}  // namespace lbctl::cli
