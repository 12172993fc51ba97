// `apply` and `down`: the same work with another goal.
#include <fmt/format.h>

#include "confirm.hpp"
#include "lbctl/engine/health_file.hpp"
#include "report.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

Result<engine::Report> carry_out(const Options& options, const engine::Goal& goal) {
  auto session = Session::open(options);
  if (!session) return fail(std::move(session.error()));
  listen_for_stop();
  auto report = options.confirm ? apply_unless_reverted(options, *session, goal)
                                : session->engine().apply(goal, session->state, stop_asked);
  if (report && report->ok())
    if (auto forgotten = engine::forget_health(session->state); !forgotten)
      return fail(std::move(forgotten.error()));
  return report;
}

}  // namespace

Exit apply(const Options& options) {
  if (options.dry_run) return plan(options);
  const auto wanted = wanted_here(options, "apply");
  if (!wanted) return wanted.error();
  const config::Desired& desired = wanted->desired;
  const auto report = carry_out(options, goal_of(desired, options));
  if (!report) return give_up(options, "apply", report.error());
  if (options.json) {
    Json json = document("apply");
    json["node"] = desired.node;
    json["role"] = name(desired.role);
    print_report(std::move(json), *report, desired.warnings);
  } else {
    for (const std::string& warning : desired.warnings)
      warn(warning);
    print_report(title(desired), "nothing to do: the kernel matches the file", *report);
  }
  return report->ok() ? Exit::done : Exit::failed;
}

Exit down(const Options& options) {
  const auto report = carry_out(options, engine::nothing_left());
  if (!report) return give_up(options, "down", report.error());
  if (options.json) {
    print_report(document("down"), *report, {});
  } else {
    print_report("down", "nothing to do: nothing here is lbctl's", *report);
  }
  return report->ok() ? Exit::done : Exit::failed;
}

}  // namespace lbctl::cli
