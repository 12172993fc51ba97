// Properties of the apply engine over 1,000 pairs of random files and every node of each.
// LBCTL_PAIRS changes how many, LBCTL_SEED the first: a failure names its seed.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "cluster.hpp"
#include "lbctl/config/read.hpp"
#include "walk.hpp"

using namespace lbctl;
using namespace lbctl::random;

namespace {

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

config::Config read(const std::string& text) {
  config::Loaded loaded = config::read_text(text, "random.toml");
  std::string said;
  for (const config::Diagnostic& diagnostic : loaded.diagnostics)
    if (diagnostic.severity == config::Diagnostic::Severity::error) said += render(diagnostic);
  REQUIRE_MESSAGE(loaded.ok(), "the generator made a wrong file:\n" << said);
  return std::move(*loaded.config);
}

}  // namespace

TEST_CASE("random: the same seed gives the same files, others give others") {
  CHECK(any_pair(7).first == any_pair(7).first);
  CHECK(any_pair(7).second == any_pair(7).second);
  CHECK(any_pair(7).first != any_pair(8).first);
}

TEST_CASE("random pairs: what is used stays, what is not goes, and nothing else is touched") {
  const std::uint64_t pairs = number_in("LBCTL_PAIRS", 1000);
  const std::uint64_t start = number_in("LBCTL_SEED", 1);
  Tally tally;
  for (std::uint64_t seed = start; seed < start + pairs; ++seed) {
    CAPTURE(seed);
    const Pair pair = any_pair(seed);
    const config::Config first = read(pair.first);
    const config::Config second = read(pair.second);
    std::set<std::string> nodes;
    for (const config::Config* config : {&first, &second})
      for (const std::string& name : config->node_names())
        nodes.insert(name);
    std::uint64_t nth = 0;
    for (const std::string& node : nodes) {
      CAPTURE(node);
      Walk(node, &first, &second, seed * 16 + nth++, tally).go();
    }
  }
  MESSAGE(pairs, " pairs, ", tally.walks, " walks, ", tally.operations, " operations, ",
          tally.failures, " failures (", tally.reverted, " taken back), ", tally.connections,
          " places in use (", tally.begun, " begun late), ", tally.stayed, " stayed, ", tally.cut,
          " cut by a deadline");
  if (pairs < 100) return;
  // A generator that went blind would make all of the above hold.
  CHECK(tally.operations > pairs);
  CHECK(tally.reverted > pairs / 4);
  CHECK(tally.failures > tally.reverted);
  CHECK(tally.begun > pairs / 20);
  CHECK(tally.stayed > pairs / 4);
  CHECK(tally.cut > pairs / 10);
}
