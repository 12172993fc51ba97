#include "levels.hpp"

#include <algorithm>
#include <array>

namespace lbctl::config {
namespace {

/// By pattern; the top level's is empty.
using Levels = std::map<std::string_view, Level>;

Levels make_levels() {
  Levels out;
  for (const KeySpec& spec : schema()) {
    const std::size_t dot = spec.pattern.rfind('.');
    const bool top = dot == std::string_view::npos;
    Level& level = out[top ? std::string_view() : spec.pattern.substr(0, dot)];
    const std::string_view key = top ? spec.pattern : spec.pattern.substr(dot + 1);
    if (key == "*") {
      level.any = &spec;
    } else {
      level.keys.emplace_back(key, &spec);
    }
  }
  return out;
}

constexpr std::array kinds = {
    DefaultsKind{"defaults.director", "directors", "directors.*"},
    DefaultsKind{"defaults.server", "servers", "servers.*"},
    DefaultsKind{"defaults.service", "services", "services.*"},
};

}  // namespace

const KeySpec* Level::find(std::string_view key) const {
  if (any) return any;
  const auto found = std::ranges::find(keys, key, [](const auto& entry) { return entry.first; });
  return found == keys.end() ? nullptr : found->second;
}

const Level* level_below(std::string_view pattern) {
  static const Levels levels = make_levels();
  const auto found = levels.find(pattern);
  return found == levels.end() ? nullptr : &found->second;
}

const DefaultsKind* defaults_kind(std::string_view pattern) {
  const auto found = std::ranges::find(kinds, pattern, &DefaultsKind::defaults);
  return found == kinds.end() ? nullptr : &*found;
}

const DefaultsKind* defaults_of(std::string_view tables) {
  const auto found = std::ranges::find(kinds, tables, &DefaultsKind::tables);
  return found == kinds.end() ? nullptr : &*found;
}

std::string joined(std::string_view pattern, std::string_view key) {
  std::string out(pattern);
  if (!out.empty()) out += '.';
  out += key;
  return out;
}

}  // namespace lbctl::config
