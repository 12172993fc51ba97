// The file's shape against the language: unknown keys, missing keys, values of the wrong kind.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "levels.hpp"
#include "text.hpp"

namespace lbctl::config {
namespace {

/// "services.web.mptcp", put together only where a message names it. Empty: the top level.
struct TableName {
  const TableName* parent = nullptr;
  std::string_view key;
  std::string text() const { return parent ? joined(parent->text(), key) : std::string(); }
};

/// What the key looks like in a right file.
std::string example(const KeySpec& spec) {
  return spec.example.empty() ? "" : fmt::format("for example: {}", spec.example);
}

/// The keys themselves, or where they can be read.
std::string known_here(const std::vector<std::string>& known, std::string_view pattern) {
  constexpr std::size_t most_listed = 8;
  if (known.size() <= most_listed) return fmt::format("known here: {}", listed(known));
  std::string section(pattern);
  for (std::size_t at = section.find('*'); at != std::string::npos; at = section.find('*'))
    section.replace(at, 1, "NAME");
  return section.empty() ? "see lbctl.toml(5)" : fmt::format("see [{}] in lbctl.toml(5)", section);
}

class ShapeCheck {
 public:
  explicit ShapeCheck(Report& report) : report_(report) {}

  /// `name` is the table's in messages.
  void table(const Node& node, std::string_view pattern, const TableName& name) {
    const DefaultsKind* defaults = defaults_kind(pattern);
    const Level* level = level_below(defaults ? defaults->tables : pattern);
    if (!level) return;  // no table of the language is without keys
    for (const Member& member : node.members) {
      const KeySpec* spec = level->find(member.key);
      if (!spec) {
        unknown(member, *level, defaults ? defaults->tables : pattern, name.text());
      } else if (defaults && spec->own) {
        report_.error(member.key_at, fmt::format("\"{}\" can't be a default", member.key),
                      fmt::format("each of [{}] has its own", defaults->plural));
      } else {
        value(member, *spec, {&name, member.key});
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
    report_.error(
        member.key_at,
        what.empty() ? fmt::format("unknown key \"{}\"", member.key)
                     : fmt::format("unknown key \"{}\" in {}", member.key, what),
        near.empty() ? known_here(known, pattern) : fmt::format("did you mean \"{}\"?", near));
  }

  void value(const Member& member, const KeySpec& spec, const TableName& what) {
    const Node& node = member.value;
    switch (spec.shape) {
      case Shape::table:
        if (!node.is(Node::Kind::table)) return wrong(node, what.text(), "a table", example(spec));
        return table(node, spec.pattern, what);
      case Shape::text:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a text", example(spec));
        return;
      case Shape::duration:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a duration", example(spec));
        return;
      case Shape::rate:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a rate", example(spec));
        return;
      case Shape::whole:
        if (!node.is(Node::Kind::integer))
          wrong(node, what.text(), "a whole number", example(spec));
        return;
      case Shape::whole_or_table:
        if (node.is(Node::Kind::table)) return table(node, spec.pattern, what);
        if (!node.is(Node::Kind::integer))
          wrong(node, what.text(), "a whole number or a table", example(spec));
        return;
      case Shape::whole_or_hex:
        if (!node.is(Node::Kind::integer) && !node.is(Node::Kind::text))
          wrong(node, what.text(), "a whole number or a text", example(spec));
        return;
      case Shape::table_or_tables:
        return tables(member, spec, what);
      case Shape::boolean:
        if (!node.is(Node::Kind::boolean)) wrong(node, what.text(), "true or false", example(spec));
        return;
      case Shape::texts:
        return list(member, spec, what, Node::Kind::text, "a list of texts");
      case Shape::wholes:
        return list(member, spec, what, Node::Kind::integer, "a list of whole numbers");
      case Shape::ports:
        if (!node.is(Node::Kind::text)) ports(member, spec, what);
        return;
      case Shape::texts_or_weights:
        if (!node.is(Node::Kind::table)) {
          return list(member, spec, what, Node::Kind::text,
                      "a list of names or a table of weights");
        }
        if (node.members.empty()) report_.error(node.at, fmt::format("{} is empty", what.text()));
        return table(node, spec.pattern, what);
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

  /// Single ports and texts, which decode looks into.
  void ports(const Member& member, const KeySpec& spec, const TableName& what) {
    const Node& node = member.value;
    if (!node.is(Node::Kind::list))
      return wrong(node, what.text(), "a list of ports", example(spec));
    if (node.items.empty())
      report_.error(node.at, fmt::format("{} is empty", what.text()), example(spec));
    for (const Node& item : node.items) {
      if (!item.is(Node::Kind::integer) && !item.is(Node::Kind::text))
        wrong(item, fmt::format("each of {}", what.text()), "a port", example(spec));
    }
  }

  void tables(const Member& member, const KeySpec& spec, const TableName& what) {
    const Node& node = member.value;
    if (node.is(Node::Kind::table)) return table(node, spec.pattern, what);
    if (!node.is(Node::Kind::list))
      return wrong(node, what.text(), "a table or a list of tables", example(spec));
    if (node.items.empty())
      report_.error(node.at, fmt::format("{} is empty", what.text()), example(spec));
    for (const Node& item : node.items) {
      if (item.is(Node::Kind::table))
        table(item, spec.pattern, what);
      else
        wrong(item, fmt::format("each of {}", what.text()), "a table", example(spec));
    }
  }

  void wrong(const Node& node, const std::string& what, std::string_view wanted, std::string hint) {
    report_.error(node.at, fmt::format("{} must be {}, this is {}", what, wanted, name(node.kind)),
                  std::move(hint));
  }

  Report& report_;
};

void required(const Node& node, Span at, std::string_view pattern, const TableName& name,
              Report& report) {
  const Level* level = level_below(pattern);
  if (!level || !node.is(Node::Kind::table)) return;
  for (const auto& [key, spec] : level->keys) {
    if (spec->required && !node.find(key))
      report.error(at, fmt::format("{} lacks \"{}\"", name.text(), key), example(*spec));
  }
  // What tables share is named where it stands, so that it is reported once.
  const DefaultsKind* defaults = defaults_of(pattern);
  const TableName top;
  const TableName shared{&top, defaults ? defaults->defaults : ""};
  for (const Member& member : node.members) {
    const KeySpec* spec = level->find(member.key);
    const TableName& parent = defaults && member.by_default ? shared : name;
    if (!spec) continue;
    const TableName name_below{&parent, member.key};
    if (spec->shape == Shape::table || spec->shape == Shape::table_or_tables)
      required(member.value, member.key_at, spec->pattern, name_below, report);
    if (spec->shape == Shape::table_or_tables)
      for (const Node& item : member.value.items)
        required(item, item.at, spec->pattern, name_below, report);
  }
}

}  // namespace

void check_shape(const Node& root, Report& report) {
  ShapeCheck(report).table(root, "", {});
}

void check_required(const Node& root, Report& report) {
  if (report.partial()) return;  // it may stand in what could not be read
  required(root, {0, 1}, "", {}, report);
}

}  // namespace lbctl::config
