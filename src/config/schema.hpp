// The language as data: which keys there are, where, of which shape. Values and their meaning are
// looked at later, by decode and rules.
#pragma once

#include <span>
#include <string_view>

#include "node.hpp"

namespace lbctl::config {

enum class Shape : std::uint8_t {
  table,
  text,
  texts,    ///< a list of texts, not empty
  whole,    ///< a whole number
  wholes,   ///< a list of whole numbers, not empty
  boolean,  ///< true or false
  duration,
  texts_or_weights,  ///< a list of names, or a table of name = weight; not empty
};

struct KeySpec {
  std::string_view pattern;  ///< "servers.*.address"; a * stands for a name that the file chooses
  Shape shape = Shape::text;
  bool required = false;  ///< in its table, where that table stands
};

/// A key that lbctl will know some day, and what to do until then.
struct LaterKey {
  std::string_view pattern;
  std::string_view instead;
};

std::span<const KeySpec> schema();
std::span<const LaterKey> later_keys();

/// Reports unknown keys, missing keys, wrong shapes and empty lists below the top-level table.
void check_shape(const Node& root, Report& report);

}  // namespace lbctl::config
