#include "lbctl/plan/render.hpp"

#include <fmt/format.h>

#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

void print_json(const config::Desired& wanted, const engine::Preview& preview) {
  Json json = document("plan");
  json["result"] = !preview.refusals.empty()    ? "refused"
                   : preview.operations.empty() ? "nothing_to_do"
                                                : "changes_pending";
  json["node"] = wanted.node;
  json["role"] = name(wanted.role);
  json["operations"] = plan::to_json(preview.operations);
  json["refusals"] = Json::array();
  for (const Error& refusal : preview.refusals)
    json["refusals"].push_back(to_json(refusal));
  json["warnings"] = wanted.warnings;
  print(json);
}

void print_text(const config::Desired& wanted, const engine::Preview& preview) {
  for (const std::string& warning : wanted.warnings)
    warn(warning);
  for (const Error& refusal : preview.refusals)
    complain(refusal);
  if (!preview.refusals.empty()) {
    fmt::print("{}: apply would refuse, and touch nothing\n", title(wanted));
  } else if (preview.operations.empty()) {
    fmt::print("{}: nothing to do: the kernel matches the file\n", title(wanted));
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

  options.json ? print_json(*wanted, *preview) : print_text(*wanted, *preview);
  if (!preview->refusals.empty()) return Exit::failed;
  return options.detailed_exitcode && !preview->operations.empty() ? Exit::pending : Exit::done;
}

}  // namespace lbctl::cli
