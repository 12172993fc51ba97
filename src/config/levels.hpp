// The schema by table, as the keys of a file are looked up.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema.hpp"

namespace lbctl::config {

/// The keys right below one pattern.
struct Level {
  std::vector<std::pair<std::string_view, const KeySpec*>> keys;
  const KeySpec* any = nullptr;  ///< the * of names that the file chooses

  const KeySpec* find(std::string_view key) const;
};

/// Below that pattern, "" for the top level; nothing if no key of the language stands there.
const Level* level_below(std::string_view pattern);

/// The tables that get the defaults of one kind.
struct DefaultsKind {
  std::string_view defaults;  ///< "defaults.director"
  std::string_view plural;    ///< "directors"
  std::string_view tables;    ///< "directors.*"
};
/// Nothing if the pattern names no table of defaults.
const DefaultsKind* defaults_kind(std::string_view pattern);
/// Nothing if tables of that pattern ("services.*") get no defaults.
const DefaultsKind* defaults_of(std::string_view tables);

/// "a.b.c"; the key alone at the top level.
std::string joined(std::string_view pattern, std::string_view key);

}  // namespace lbctl::config
