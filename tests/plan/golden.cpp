// A golden plan: lbctl.toml (the file), observed.toml (what the kernel held), plan.txt (what lbctl
// must say). `golden DIR` compares; `golden DIR --write` writes plan.txt, to be read before it is
// committed.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/ownership.hpp"
#include "lbctl/plan/plan.hpp"
#include "lbctl/plan/render.hpp"
#include "observed.hpp"

using namespace lbctl;

namespace {

std::string slurp(const std::filesystem::path& path) {
  std::stringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

std::string plan_of(const std::filesystem::path& dir) {
  const config::Loaded loaded = config::read_text(slurp(dir / "lbctl.toml"), "lbctl.toml");
  std::string out;
  for (const auto& diagnostic : loaded.diagnostics)
    out += config::render(diagnostic);
  if (!loaded.ok()) return out;

  const golden::ObservedFile observed = golden::read_observed(dir / "observed.toml");
  const auto wanted = config::resolve(*loaded.config, observed.node, observed.facts);
  if (!wanted) return wanted.error().text() + "\n";
  for (const std::string& warning : wanted->warnings)
    out += "warning: " + warning + "\n";

  const engine::Split split = engine::split(observed.state, observed.ledger);
  for (const Error& refusal : engine::conflicts(wanted->state, split))
    out += fmt::format("refused: {}\n", refusal.text());
  const plan::Before before{observed.ledger.sysctls, observed.ledger.limits,
                            observed.ledger.timeouts};
  const model::Observed seen{observed.state, observed.counters, {}, observed.sockets};
  const auto made = plan::make({.want = wanted->state,
                                .have = split.ours,
                                .observed = seen,
                                .before = before,
                                .recorded = observed.ledger.leaving,
                                .asked = {},
                                .now = observed.now});
  out += plan::render(made.operations);
  for (const std::string& line : plan::render(made.stays, seen, observed.now))
    out += "on its way out: " + line + "\n";
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path dir = argv[1];
  const std::string got = plan_of(dir);
  if (argc > 2) {
    std::ofstream(dir / "plan.txt") << got;
    return 0;
  }
  const std::string expected = slurp(dir / "plan.txt");
  if (got == expected) return 0;
  fmt::print("--- expected\n{}--- got\n{}", expected, got);
  return 1;
}
