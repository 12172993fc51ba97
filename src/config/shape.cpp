// The file's shape against the language: unknown keys, missing keys, values of the wrong kind.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "schema.hpp"
#include "text.hpp"

namespace lbctl::config {
namespace {

std::string joined(std::string_view pattern, std::string_view key) {
  std::string out(pattern);
  if (!out.empty()) out += '.';
  out += key;
  return out;
}

/// The keys right below one pattern, as every key of the file is looked up here.
struct Level {
  std::vector<std::pair<std::string_view, const KeySpec*>> keys;
  const KeySpec* any = nullptr;  ///< the * of names that the file chooses

  const KeySpec* find(std::string_view key) const {
    if (any) return any;
    const auto found = std::ranges::find(keys, key, [](const auto& entry) { return entry.first; });
    return found == keys.end() ? nullptr : found->second;
  }
};

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

/// "services.web.mptcp", put together only where a message names it. Empty: the top level.
struct TableName {
  const TableName* parent = nullptr;
  std::string_view key;
  std::string text() const { return parent ? joined(parent->text(), key) : std::string(); }
};

class ShapeCheck {
 public:
  explicit ShapeCheck(Report& report) : report_(report) {}

  /// `name` is the table's in messages.
  void table(const Node& node, Span at, std::string_view pattern, const TableName& name) {
    const auto level = levels_.find(pattern);
    if (level == levels_.end()) return;  // no table of the language is without keys
    for (const Member& member : node.members) {
      if (const KeySpec* spec = level->second.find(member.key)) {
        value(member, *spec, {&name, member.key});
      } else {
        unknown(member, level->second, pattern, name.text());
      }
    }
    for (const auto& [key, spec] : level->second.keys) {
      if (spec->required && !node.find(key)) {
        report_.error(at, fmt::format("{} lacks \"{}\"", name.text(), key), example(*spec));
      }
    }
  }

 private:
  void unknown(const Member& member, const Level& level, std::string_view pattern,
               const std::string& what) {
    const std::string full = joined(pattern, member.key);
    for (const LaterKey& key : later_keys()) {
      if (key.pattern == full) {
        return report_.error(member.key_at,
                             fmt::format("\"{}\" is not supported by this version", member.key),
                             std::string(key.instead));
      }
    }
    std::vector<std::string> known;
    for (const auto& [key, spec] : level.keys)
      known.emplace_back(key);
    const std::string near = report_.full() ? "" : nearest(member.key, known);
    report_.error(member.key_at,
                  what.empty() ? fmt::format("unknown key \"{}\"", member.key)
                               : fmt::format("unknown key \"{}\" in {}", member.key, what),
                  near.empty() ? fmt::format("known here: {}", listed(known))
                               : fmt::format("did you mean \"{}\"?", near));
  }

  void value(const Member& member, const KeySpec& spec, const TableName& what) {
    const Node& node = member.value;
    switch (spec.shape) {
      case Shape::table:
        if (!node.is(Node::Kind::table)) return wrong(node, what.text(), "a table", example(spec));
        return table(node, member.key_at, spec.pattern, what);
      case Shape::text:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a text", example(spec));
        return;
      case Shape::duration:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a duration", example(spec));
        return;
      case Shape::whole:
        if (!node.is(Node::Kind::integer))
          wrong(node, what.text(), "a whole number", example(spec));
        return;
      case Shape::whole_or_table:
        if (node.is(Node::Kind::table)) return table(node, member.key_at, spec.pattern, what);
        if (!node.is(Node::Kind::integer))
          wrong(node, what.text(), "a whole number or a table", example(spec));
        return;
      case Shape::boolean:
        if (!node.is(Node::Kind::boolean)) wrong(node, what.text(), "true or false", example(spec));
        return;
      case Shape::texts:
        return list(member, spec, what, Node::Kind::text, "a list of texts");
      case Shape::wholes:
        return list(member, spec, what, Node::Kind::integer, "a list of whole numbers");
      case Shape::texts_or_weights:
        if (!node.is(Node::Kind::table)) {
          return list(member, spec, what, Node::Kind::text,
                      "a list of names or a table of weights");
        }
        if (node.members.empty()) report_.error(node.at, fmt::format("{} is empty", what.text()));
        return table(node, member.key_at, spec.pattern, what);
    }
  }

  void list(const Member& member, const KeySpec& spec, const TableName& what, Node::Kind kind,
            std::string_view wanted) {
    const Node& node = member.value;
    if (!node.is(Node::Kind::list)) return wrong(node, what.text(), wanted, example(spec));
    if (node.items.empty())
      report_.error(node.at, fmt::format("{} is empty", what.text()), example(spec));
    for (const Node& item : node.items) {
      if (!item.is(kind))
        wrong(item, fmt::format("each of {}", what.text()), name(kind), example(spec));
    }
  }

  void wrong(const Node& node, const std::string& what, std::string_view wanted, std::string hint) {
    report_.error(node.at, fmt::format("{} must be {}, this is {}", what, wanted, name(node.kind)),
                  std::move(hint));
  }

  /// What the key looks like in a right file.
  static std::string example(const KeySpec& spec) {
    return spec.example.empty() ? "" : fmt::format("for example: {}", spec.example);
  }

  Report& report_;
  Levels levels_ = make_levels();
};

}  // namespace

void check_shape(const Node& root, Report& report) {
  ShapeCheck(report).table(root, {0, 1}, "", {});
}

}  // namespace lbctl::config
