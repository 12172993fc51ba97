// Where the keys stand, for a tree that toml11 made: it keeps where a value starts, not where its
// key does.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scan.hpp"

namespace lbctl::config {

/// A key as written: `a."b c".d` has three parts.
struct KeyPath {
  std::size_t depth = 0;    ///< how many tables enclose the first part; 0: top level
  std::vector<Span> parts;  ///< with their quotes
  std::string full;         ///< from the top level, parts as written, joined by dots
};

struct KeyIndex {
  /// By where the value starts, and, for the tables that the key itself makes, by where the key
  /// or the [header] starts.
  std::map<std::size_t, KeyPath> keys;
  std::map<std::string, Span> first_use;  ///< by KeyPath::full
};

KeyIndex index_keys(const File& file, const Scan& scan);

}  // namespace lbctl::config
