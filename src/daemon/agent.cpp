#include "agent.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace lbctl::daemon {
namespace {

/// "75%"; more than 100 is 100.
std::optional<std::uint8_t> percent_in(std::string_view word) {
  if (!word.ends_with('%')) return std::nullopt;
  word.remove_suffix(1);
  std::uint32_t value = 0;
  const auto [end, wrong] = std::from_chars(word.begin(), word.end(), value);
  if (wrong == std::errc::result_out_of_range && end == word.end()) return 100;
  if (wrong != std::errc{} || end != word.end() || word.empty()) return std::nullopt;
  return static_cast<std::uint8_t>(std::min(value, 100U));
}

bool take_word(const std::string& word, std::string_view line, AgentState& state) {
  if (const auto percent = percent_in(word)) {
    state.percent = *percent;
  } else if (word == "up") {
    state.down = false;
  } else if (word == "ready") {
    state.maint = state.drain = false;
  } else if (word == "drain") {
    state.drain = true;
    state.maint = false;
  } else if (word == "maint") {
    state.maint = true;
    state.last = line;
  } else if (word == "down" || word == "fail" || word == "failed" || word == "stopped") {
    state.down = true;
    state.last = line;
  } else {
    return word.starts_with("maxconn:");  // IPVS has no such limit for a while
  }
  return true;
}

}  // namespace

bool take_agent_line(std::string_view line, AgentState& state) {
  constexpr std::string_view blanks = " \t,";
  std::string_view rest = line.substr(0, line.find('#'));  // then a description
  bool known = false;
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
    if (rest.empty()) return known;
    std::string word(rest.substr(0, rest.find_first_of(blanks)));
    rest.remove_prefix(word.size());
    std::ranges::transform(word, word.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    known = take_word(word, line, state) || known;
  }
}

}  // namespace lbctl::daemon
