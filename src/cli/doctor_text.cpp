#include <fmt/format.h>

#include <algorithm>

#include "doctor.hpp"
#include "lbctl/plan/commands.hpp"

namespace lbctl::cli {
namespace {

using doctor::Check;
using doctor::Finding;
using doctor::Severity;
using doctor::Tick;

std::string summary(const doctor::Report& report) {
  std::string out;
  for (const Severity severity : {Severity::error, Severity::warning, Severity::doubt}) {
    const auto n = std::ranges::count(report.findings, severity, &Finding::severity);
    if (n != 0)
      out += (out.empty() ? "" : ", ") + count(static_cast<std::size_t>(n), name(severity));
  }
  return out.empty() ? "nothing found" : out;
}

std::string text(const Finding& finding) {
  std::string out = fmt::format("{}: {}\n", name(finding.severity), finding.id);
  for (const std::string& line : finding.evidence)
    out += fmt::format("  seen   {}\n", line);
  out += fmt::format("  means  {}\n  mend   {}\n", finding.consequence, finding.mend);
  for (const std::string& line : commands_of(finding))
    out += fmt::format("         # {}\n", line);
  return out;
}

std::string text(const Check& check) {
  const char mark = check.tick == Tick::yes ? 'x' : check.tick == Tick::no ? ' ' : '-';
  return fmt::format("  [{}] {}: {}\n", mark, check.item, check.why);
}

Json to_json(const Finding& finding, const Mended& mended) {
  Json out;
  out["id"] = finding.id;
  out["severity"] = name(finding.severity);
  out["evidence"] = finding.evidence;
  out["consequence"] = finding.consequence;
  out["mend"] = finding.mend;
  const auto commands = commands_of(finding);
  out["command"] = commands.empty() ? Json(nullptr) : Json(commands);
  out["fixable"] = !finding.fix.empty();
  if (const auto tried = mended.find(&finding); tried != mended.end()) {
    out["fixed"] = !tried->second;
    if (tried->second) out["error"] = cli::to_json(*tried->second);
  }
  return out;
}

}  // namespace

std::vector<std::string> commands_of(const Finding& finding) {
  if (finding.fix.empty()) return finding.commands;
  std::vector<model::Operation> operations;
  for (const model::Action& action : finding.fix)
    operations.push_back({model::Phase::set_sysctl, action, model::Reason::differs});
  auto out = plan::commands(operations);
  std::erase_if(out, [](const std::string& line) { return line.starts_with('#'); });
  return out;
}

std::string doctor_text(const std::string& who, const doctor::Report& report) {
  std::string out = fmt::format("{}: {}\n", who, summary(report));
  for (const Finding& finding : report.findings)
    out += text(finding);
  if (!report.checklist.empty()) out += "checklist of mptcp.dev for load balancers\n";
  for (const Check& check : report.checklist)
    out += text(check);
  return out;
}

Json doctor_json(const doctor::Report& report, const Mended& mended) {
  Json out;
  out["result"] = report.sick() ? "findings" : "clean";
  out["findings"] = Json::array();
  for (const Finding& finding : report.findings)
    out["findings"].push_back(to_json(finding, mended));
  out["checklist"] = Json::array();
  for (const Check& check : report.checklist)
    out["checklist"].push_back(
        {{"item", check.item}, {"tick", name(check.tick)}, {"why", check.why}});
  return out;
}

}  // namespace lbctl::cli
