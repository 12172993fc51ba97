// `apply` and `down`: the same work with another goal.
#include <fmt/format.h>
#include <signal.h>

#include <span>

#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

volatile sig_atomic_t stop_asked = 0;

/// The run of operations under way is finished, then the report says what is left.
void listen_for_stop() {
  struct sigaction action{};
  action.sa_handler = [](int) { stop_asked = 1; };
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    ::sigaction(number, &action, nullptr);
}

constexpr auto patience = std::chrono::seconds(10);

Result<engine::Report> carry_out(const Options& options, const engine::Goal& goal) {
  auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return fail(std::move(kernel.error()));
  auto state = engine::StateDir::open(options.state_dir);
  if (!state) return fail(std::move(state.error()));
  const auto lock = state->lock(patience, [](const std::string& holder) {
    fmt::print(stderr, "lbctl: waiting for another lbctl (pid {}) to finish\n", holder);
  });
  if (!lock) return fail(lock.error());
  listen_for_stop();
  return engine::Engine(kernel->backends()).apply(goal, *state, [] { return stop_asked != 0; });
}

void print_json(Json json, const engine::Report& report, std::span<const std::string> warnings) {
  const std::span all(report.operations);
  json["result"] = !report.refusals.empty() ? "refused"
                   : !report.ok()           ? "failed"
                   : all.empty()            ? "nothing_to_do"
                                            : "done";
  json["done"] = plan::to_json(all.first(report.done));
  json["left"] = plan::to_json(all.subspan(report.done));
  if (report.error) json["error"] = to_json(*report.error);
  json["refusals"] = Json::array();
  for (const Error& refusal : report.refusals)
    json["refusals"].push_back(to_json(refusal));
  json["still_differs"] = plan::to_json(report.still_differs);
  json["notes"] = report.notes;
  json["warnings"] = warnings;
  print(json);
}

void print_failure(const std::string& who, const engine::Report& report) {
  const std::span all(report.operations);
  if (report.error) complain(*report.error);
  if (!report.still_differs.empty()) {
    complain(
        Error(Errc::system, "the kernel took every change, but when read back it still differs")
            .with_hint("somebody else may be writing too; run lbctl plan"));
    fmt::print("{}: still differs:\n{}", who, plan::render(report.still_differs));
    return;
  }
  fmt::print("{}: {} of {} done:\n{}", who, report.done, count(all.size(), "change"),
             plan::render(all.first(report.done)));
  fmt::print("left:\n{}", plan::render(all.subspan(report.done)));
}

void print_text(const std::string& who, std::string_view nothing, const engine::Report& report) {
  for (const std::string& note : report.notes)
    fmt::print(stderr, "lbctl: note: {}\n", note);
  if (!report.refusals.empty()) {
    for (const Error& refusal : report.refusals)
      complain(refusal);
    fmt::print("{}: refused; nothing was touched\n", who);
  } else if (!report.ok()) {
    print_failure(who, report);
  } else if (report.operations.empty()) {
    fmt::print("{}: {}\n", who, nothing);
  } else {
    fmt::print("{}: {} made, read back and found right\n{}", who,
               count(report.operations.size(), "change"), plan::render(report.operations));
  }
}

}  // namespace

Exit apply(const Options& options) {
  if (options.dry_run) return plan(options);
  const auto wanted = desired(options, "apply");
  if (!wanted) return wanted.error();
  const auto report = carry_out(options, {wanted->state});
  if (!report) return give_up(options, "apply", report.error());
  if (options.json) {
    Json json = document("apply");
    json["node"] = wanted->node;
    json["role"] = name(wanted->role);
    print_json(std::move(json), *report, wanted->warnings);
  } else {
    for (const std::string& warning : wanted->warnings)
      warn(warning);
    print_text(title(*wanted), "nothing to do: the kernel matches the file", *report);
  }
  return report->ok() ? Exit::done : Exit::failed;
}

Exit down(const Options& options) {
  const auto report = carry_out(options, {model::NodeState{}, model::Reason::going_down});
  if (!report) return give_up(options, "down", report.error());
  if (options.json) {
    print_json(document("down"), *report, {});
  } else {
    print_text("down", "nothing to do: nothing here is lbctl's", *report);
  }
  return report->ok() ? Exit::done : Exit::failed;
}

}  // namespace lbctl::cli
