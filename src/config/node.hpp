// The file as a tree with positions: what the rest of the reader works on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "source.hpp"

namespace lbctl::config {

struct Member;

struct Node {
  enum class Kind : std::uint8_t { text, integer, boolean, floating, date, list, table };
  Kind kind = Kind::table;
  Span at;  ///< the value; for a table that is no inline table: its [header] or its key
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  std::vector<Node> items;      ///< of a list
  std::vector<Member> members;  ///< of a table, in the order of the file

  bool is(Kind k) const { return kind == k; }
  const Member* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Span key_at;
  Node value;
  bool by_default = false;  ///< its table lacked it: it is a copy of what [defaults.KIND] says
};

/// "a text", "a whole number", …
std::string_view name(Node::Kind kind);

}  // namespace lbctl::config
