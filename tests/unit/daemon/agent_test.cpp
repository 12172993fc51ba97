#include "agent.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace lbctl::daemon;

namespace {

/// "75", "75 down", "0 maint drain"; "?" if nothing in the line means anything.
std::string after(AgentState& state, std::string_view line) {
  if (!take_agent_line(line, state)) return "?";
  return std::to_string(state.percent) + (state.down ? " down" : "") +
         (state.maint ? " maint" : "") + (state.drain ? " drain" : "");
}

}  // namespace

TEST_CASE("agent: HAProxy's words; what is not spoken of stays") {
  AgentState state;
  CHECK(after(state, "75%") == "75");
  CHECK(after(state, "up") == "75");
  CHECK(after(state, "down#disk full, sorry") == "75 down");
  CHECK(state.last == "down#disk full, sorry");
  CHECK(after(state, "50%") == "50 down");
  CHECK(after(state, "UP,\t100%") == "100");
  CHECK(after(state, "drain") == "100 drain");
  CHECK(after(state, "maint") == "100 maint drain");
  CHECK(after(state, "up") == "100 maint drain");
  CHECK(after(state, "ready 0%") == "0");
  for (const char* word : {"fail", "failed", "stopped"}) {
    AgentState fresh;
    CHECK(after(fresh, word) == "100 down");
  }
}

TEST_CASE("agent: never more than the file's weight, and nothing from nonsense") {
  AgentState state;
  CHECK(after(state, "250%") == "100");
  CHECK(after(state, "99999999999999999999%") == "100");
  CHECK(after(state, "maxconn:30 40%") == "40");
  for (const char* line : {"", " ", "%", "-5%", "5", "x%", "upp", "# up", "4 2%%"})
    CHECK(after(state, line) == "?");
  CHECK(state.percent == 40);
}
