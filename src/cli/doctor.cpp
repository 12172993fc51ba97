// lbctl doctor: what is wrong with this node, or may be, and what mends it.
#include "doctor.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lbctl::cli {
namespace {

using doctor::Finding;
using doctor::Report;
using doctor::Severity;

/// Nobody knows which node of the file this is.
Report nobody(const Error& error) {
  return {
      .findings = {{.id = "node-unknown",
                    .severity = Severity::error,
                    .evidence = {error.text(), error.hint()},
                    .consequence = "lbctl sets nothing up here, at boot neither",
                    .mend = "give this machine the host name of its node or an address that the "
                            "file has for it; or name the node by --node",
                    .commands = {},
                    .fix = {}}},
      .checklist = {}};
}

std::optional<Error> mend(const Finding& finding, std::span<kernel::Backend* const> backends) {
  for (const model::Action& action : finding.fix) {
    const model::Operation operation{model::Phase::set_sysctl, action, model::Reason::differs};
    const auto subsystem = subsystem_of(action);
    const auto backend = std::ranges::find_if(
        backends, [&](const auto* one) { return one->subsystem() == subsystem; });
    if (backend == backends.end()) return Error(Errc::unsupported, "no backend for this");
    auto outcome = (*backend)->execute({&operation, 1});
    if (outcome.error) return std::move(outcome.error);
  }
  return std::nullopt;
}

/// Under the lock, as apply.
Result<Mended> mend_all(const Options& options, const Report& report) {
  Mended out;
  const bool any =
      std::ranges::any_of(report.findings, [](const Finding& one) { return !one.fix.empty(); });
  if (!any) return out;
  const auto session = Session::open(options);
  if (!session) return fail(session.error());
  const auto backends = session->kernel.backends();
  for (const Finding& finding : report.findings)
    if (!finding.fix.empty()) out[&finding] = mend(finding, backends);
  return out;
}

void print_mended(const Report& report, const Mended& mended) {
  for (const Finding& finding : report.findings) {
    const auto tried = mended.find(&finding);
    if (tried == mended.end()) continue;
    for (const std::string& line : commands_of(finding))
      fmt::print("{}: {}: {}\n", tried->second ? "not done" : "done", finding.id, line);
    if (tried->second) complain(*tried->second);
  }
  if (mended.empty()) fmt::print("nothing that --fix mends\n");
}

/// What is left after the mends.
Exit verdict(const Report& report, const Mended& mended) {
  const bool left = std::ranges::any_of(report.findings, [&](const Finding& finding) {
    const auto tried = mended.find(&finding);
    const bool done = tried != mended.end() && !tried->second;
    return finding.severity != Severity::doubt && !done;
  });
  return left ? Exit::failed : Exit::done;
}

/// `json` has the head of the document.
Exit tell(const Options& options, Json json, const std::string& who, const Report& report) {
  // What will be done is shown first.
  if (!options.json) fmt::print("{}", doctor_text(who, report));
  std::fflush(stdout);
  Mended mended;
  if (options.fix) {
    auto tried = mend_all(options, report);
    if (!tried) return give_up(options, "doctor", tried.error());
    mended = std::move(*tried);
    if (!options.json) print_mended(report, mended);
  }
  if (options.json) {
    json.update(doctor_json(report, mended));
    print(json);
  }
  return verdict(report, mended);
}

}  // namespace

Exit doctor(const Options& options) {
  auto loaded = load_file(options, "doctor");
  if (!loaded) return loaded.error();
  auto& config = loaded->config;
  auto here = find_here(*config, options);
  if (!here && !options.node &&
      (here.error().code() == Errc::not_found || here.error().code() == Errc::invalid)) {
    Json json = document("doctor");
    json["node"] = nullptr;
    json["role"] = nullptr;
    return tell(options, std::move(json), "this machine", nobody(here.error()));
  }
  if (!here) return give_up(options, "doctor", here.error());
  const model::NodeFacts facts = here->facts;
  const auto wanted =
      wanted_of(options, "doctor", std::move(*config), std::move(*here), Unasked::leave_unknown);
  if (!wanted) return wanted.error();
  const auto report = examine_here(options, *wanted, facts, loaded->hash);
  if (!report) return give_up(options, "doctor", report.error());
  Json json = document("doctor");
  json["node"] = wanted->desired.node;
  json["role"] = name(wanted->desired.role);
  return tell(options, std::move(json), title(wanted->desired), *report);
}

}  // namespace lbctl::cli
