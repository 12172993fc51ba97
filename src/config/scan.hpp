// One strict pass over the text before toml11 sees it, for three things that toml11 3.7 does not
// give: where each key stands, the exact place of a syntax error, and limits (its parser recurses).
#pragma once

#include <expected>
#include <map>
#include <string>
#include <vector>

#include "source.hpp"

namespace lbctl::config {

struct SyntaxError {
  Span at;
  std::string message;
  std::string hint;
};

/// A key as written: `a."b c".d` has three parts.
struct KeyPath {
  std::size_t depth = 0;    ///< how many tables enclose the first part; 0: top level
  std::vector<Span> parts;  ///< with their quotes
  std::string full;         ///< from the top level, parts as written, joined by dots
};

struct Scan {
  /// By where the value starts, and, for the tables that the key itself makes, by where the key
  /// or the [header] starts.
  std::map<std::size_t, KeyPath> keys;
  std::map<std::string, Span> first_use;  ///< by KeyPath::full
  std::vector<Span> comments;
};

inline constexpr std::size_t max_line_length = 16384;
/// Arrays and inline tables inside each other, and parts of a key: lbctl's own files need 4.
inline constexpr std::size_t max_nesting = 16;

/// Checks size, encoding and syntax (TOML 1.0.0). That a key is defined twice is left to toml11.
std::expected<Scan, SyntaxError> scan(const Source& source);

}  // namespace lbctl::config
