// The language as data: which keys there are, where, of which shape. Values and their meaning are
// looked at later, by decode and rules.
#pragma once

#include <span>
#include <string_view>

#include "node.hpp"
#include "ranges.hpp"

namespace lbctl::config {

enum class Shape : std::uint8_t {
  table,
  text,
  texts,    ///< a list of texts, not empty
  whole,    ///< a whole number
  wholes,   ///< a list of whole numbers, not empty
  ports,    ///< a list of whole numbers and of ranges as texts, not empty; or "all"
  boolean,  ///< true or false
  duration,
  rate,              ///< "200/second"
  texts_or_weights,  ///< a list of names, or a table of name = weight; not empty
  whole_or_table,    ///< a whole number, or a table of it and more
  whole_or_hex,      ///< a whole number, or a text with 0x and hexadecimal digits
  table_or_tables,   ///< a table, or a list of such; not empty
};

/// All that is known of a key but its meaning: what is refused, completed and documented comes from
/// here or is held against it by tests.
struct KeySpec {
  std::string_view pattern;  ///< "servers.*.address"; a * stands for a name that the file chooses
  Shape shape = Shape::text;
  bool required = false;      ///< in its table, where that table stands
  std::string_view about;     ///< one line, without a full stop
  Range range;                ///< of a number, or of a duration in seconds
  std::string_view words;     ///< the right ones, separated by blanks; empty: any
  std::string_view fallback;  ///< what leaving it out means
  std::string_view kernel;    ///< the first Linux that has it, if that is later than 6.1
  std::string_view example;   ///< a right line, for hints
  bool own = false;           ///< each table's own: [defaults.KIND] can't give it
  /// When a default of [defaults.KIND] is taken. "KEY WORD …": only by tables whose KEY is one of
  /// the words, also by its fallback, or has one in its list. "KEY": only by tables that take the
  /// default of KEY, too. Empty: always.
  std::string_view goes_with;
};

/// A key that lbctl will know some day, and what to do until then.
struct LaterKey {
  std::string_view pattern;
  std::string_view instead;
};

std::span<const KeySpec> schema();
/// Its part below "services".
std::span<const KeySpec> service_keys();
/// Those of services.*.check and services.*.quorum.
std::span<const KeySpec> check_keys();
/// Its part below "ipvs".
std::span<const KeySpec> ipvs_keys();
std::span<const LaterKey> later_keys();

/// Reports unknown keys, wrong shapes and empty lists below the top-level table.
void check_shape(const Node& root, Report& report);

/// Reports missing keys; after fill_defaults().
void check_required(const Node& root, Report& report);

}  // namespace lbctl::config
