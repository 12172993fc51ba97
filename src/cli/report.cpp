#include "report.hpp"

#include <fmt/format.h>

#include <span>

#include "lbctl/plan/render.hpp"

namespace lbctl::cli {

namespace {

/// Line by line: the text of a large plan would be as large as the plan.
void print_operations(std::span<const model::Operation> operations) {
  for (const model::Operation& operation : operations)
    fmt::print("{}\n", plan::render_line(operation));
}

void print_reverted(const engine::Report& report) {
  if (!report.reverted.empty()) {
    fmt::print("taken back, so that the node is as before:\n");
    print_operations(report.reverted);
  }
  if (report.revert_error) {
    fmt::print(stderr, "lbctl: error: not all could be taken back: {}\n",
               report.revert_error->text());
  }
}

void print_failure(const std::string& who, const engine::Report& report) {
  const std::span all(report.operations);
  if (report.error) complain(*report.error);
  if (!report.still_differs.empty()) {
    complain(
        Error(Errc::system, "the kernel took every change, but when read back it still differs")
            .with_hint("somebody else may be writing too; run lbctl plan"));
    fmt::print("{}: still differs:\n", who);
    print_operations(report.still_differs);
    return;
  }
  fmt::print("{}: {} of {} done:\n", who, report.done, count(all.size(), "change"));
  print_operations(all.first(report.done));
  fmt::print("left:\n");
  print_operations(all.subspan(report.done));
  print_reverted(report);
}

}  // namespace

void print_report(Json json, const engine::Report& report, std::span<const std::string> warnings) {
  const std::span all(report.operations);
  json["result"] = !report.refusals.empty() ? "refused"
                   : !report.ok()           ? "failed"
                   : all.empty()            ? "nothing_to_do"
                                            : "done";
  json["done"] = plan::to_json(all.first(report.done));
  json["left"] = plan::to_json(all.subspan(report.done));
  json["adopted"] = report.adopted;
  if (report.error) json["error"] = to_json(*report.error);
  json["reverted"] = plan::to_json(report.reverted);
  if (report.revert_error) json["revert_error"] = to_json(*report.revert_error);
  json["refusals"] = Json::array();
  for (const Error& refusal : report.refusals)
    json["refusals"].push_back(to_json(refusal));
  json["still_differs"] = plan::to_json(report.still_differs);
  json["leaving"] = plan::to_json(report.stays, report.figures, engine::Engine::system_time());
  json["notes"] = report.notes;
  json["warnings"] = warnings;
  print(json);
}

void print_report(const std::string& who, std::string_view nothing, const engine::Report& report) {
  for (const std::string& note : report.notes)
    fmt::print(stderr, "lbctl: note: {}\n", note);
  if (!report.refusals.empty()) {
    for (const Error& refusal : report.refusals)
      complain(refusal);
    fmt::print("{}: refused; nothing was touched\n", who);
    return;
  }
  for (const std::string& object : report.adopted)
    fmt::print("{}: {} is lbctl's from now on\n", who, object);
  if (!report.ok()) return print_failure(who, report);
  if (report.operations.empty()) {
    fmt::print("{}: {}\n", who, nothing);
  } else {
    fmt::print("{}: {} made, read back and found right\n", who,
               count(report.operations.size(), "change"));
    print_operations(report.operations);
  }
  print_leaving(report.stays, report.figures);
}

void print_leaving(const model::Leaving& stays, const model::Observed& figures) {
  const auto lines = plan::render(stays, figures, engine::Engine::system_time());
  if (lines.empty()) return;
  fmt::print("on its way out (an apply removes it when it is idle or its time is over):\n");
  for (const std::string& line : lines)
    fmt::print("  {}\n", line);
}

}  // namespace lbctl::cli
