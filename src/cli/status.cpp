#include <fmt/format.h>

#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "session.hpp"
#include "status.hpp"

namespace lbctl::cli {

Exit status(const Options& options) {
  const auto wanted = wanted_here(options, "status");
  if (!wanted) return wanted.error();
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return give_up(options, "status", kernel.error());
  const auto ledger = engine::peek_ledger(options.state_dir);
  if (!ledger) return give_up(options, "status", ledger.error());
  const auto preview =
      engine::Engine(kernel->backends()).preview(goal_of(wanted->desired, options), *ledger);
  if (!preview) return give_up(options, "status", preview.error());
  const auto steering = kernel->steering_counters();
  if (!steering) return give_up(options, "status", steering.error());

  if (options.json) {
    Json json = document("status");
    json["node"] = wanted->desired.node;
    json["role"] = name(wanted->desired.role);
    json.update(status_json(*preview, *steering, wanted->drains));
    json["warnings"] = wanted->desired.warnings;
    print(json);
  } else {
    for (const std::string& warning : wanted->desired.warnings)
      warn(warning);
    fmt::print("{}: {}\n{}", title(wanted->desired),
               preview->plan.operations.empty()
                   ? "the kernel matches the file"
                   : count(preview->plan.operations.size(), "difference") + " from the file",
               status_text(*preview, *steering, wanted->drains));
  }
  return Exit::done;
}

}  // namespace lbctl::cli
