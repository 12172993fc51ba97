#include "merge.hpp"

#include <fmt/format.h>

#include <map>
#include <string>

#include "levels.hpp"

namespace lbctl::config {
namespace {

class Merger {
 public:
  explicit Merger(Report& report) : report_(report) {}

  /// `pattern` and `name` are of the table that all of them are; the top level's are empty.
  Node tables(std::vector<Node> parts, std::string_view pattern, const std::string& name) const {
    Node out = std::move(parts.front());
    if (parts.size() == 1) return out;
    const Level* level = level_below(pattern);
    std::map<std::string, std::size_t> places;  // in out.members
    std::map<std::size_t, std::vector<Node>> further;
    for (std::size_t i = 0; i < out.members.size(); ++i)
      places.emplace(out.members[i].key, i);
    for (std::size_t part = 1; part < parts.size(); ++part) {
      for (Member& member : parts[part].members) {
        const auto [place, is_new] = places.emplace(member.key, out.members.size());
        if (is_new) {
          out.members.push_back(std::move(member));
          continue;
        }
        const Member& first = out.members[place->second];
        const bool both_tables =
            member.value.is(Node::Kind::table) && first.value.is(Node::Kind::table);
        const bool named = level && level->any;
        if (both_tables && !named) {
          further[place->second].push_back(std::move(member.value));
        } else {
          clash(first, member, joined(name, member.key), both_tables);
        }
      }
    }
    for (auto& [place, more] : further) {
      Member& member = out.members[place];
      more.insert(more.begin(), std::move(member.value));
      const KeySpec* spec = level ? level->find(member.key) : nullptr;
      member.value = tables(std::move(more), spec ? spec->pattern : "?", joined(name, member.key));
    }
    return out;
  }

 private:
  void clash(const Member& first, const Member& second, const std::string& what,
             bool tables_with_a_name) const {
    report_.error(
        second.key_at, fmt::format("{} stands in two files", what),
        fmt::format("first in {}{}", report_.place(first.key_at),
                    tables_with_a_name ? "; a table with a name stands whole in one file" : ""));
  }

  Report& report_;
};

/// Of what is left out the fallback counts.
bool holds(const Node& table, const Level& level, std::string_view key, std::string_view word) {
  const Member* found = table.find(key);
  if (!found) {
    const KeySpec* spec = level.find(key);
    return spec && spec->fallback == fmt::format("\"{}\"", word);
  }
  if (found->value.is(Node::Kind::text)) return found->value.text == word;
  for (const Node& item : found->value.items)
    if (item.is(Node::Kind::text) && item.text == word) return true;
  return false;
}

/// Some defaults are only for tables that say something else: KeySpec::goes_with.
bool wanted(const KeySpec& spec, const Node& table, const Level& level) {
  if (spec.goes_with.empty()) return true;
  std::size_t blank = spec.goes_with.find(' ');
  const std::string_view key = spec.goes_with.substr(0, blank);
  if (blank == std::string_view::npos) return !table.find(key);
  std::string_view words = spec.goes_with.substr(blank + 1);
  while (true) {
    const std::size_t end = words.find(' ');
    if (holds(table, level, key, words.substr(0, end))) return true;
    if (end == std::string_view::npos) return false;
    words.remove_prefix(end + 1);
  }
}

void fill(Node& table, const Node& defaults, std::string_view pattern) {
  const Level* level = level_below(pattern);
  if (!level || level->any) return;  // names and what belongs to them are one value
  const auto take = [&](const Member& from, const KeySpec& spec) {
    if (const Member* own = table.find(from.key)) {
      const bool tables = spec.shape == Shape::table || spec.shape == Shape::table_or_tables;
      if (!tables || !own->value.is(Node::Kind::table) || !from.value.is(Node::Kind::table)) return;
      Node& into = table.members[static_cast<std::size_t>(own - table.members.data())].value;
      fill(into, from.value, spec.pattern);
    } else if (wanted(spec, table, *level)) {
      table.members.push_back({from.key, from.key_at, from.value, true});
    }
  };
  const auto depends_on_word = [](const KeySpec& spec) { return spec.goes_with.contains(' '); };
  const auto depends_on_absence = [](const KeySpec& spec) {
    return !spec.goes_with.empty() && !spec.goes_with.contains(' ');
  };
  const auto each = [&](auto&& which) {
    for (const Member& from : defaults.members) {
      const KeySpec* spec = level->find(from.key);
      if (spec && !spec->own && which(*spec)) take(from, *spec);
    }
  };
  // What asks for a key of the table's own comes before that key's default may come in, what asks
  // for a word behind it.
  each(depends_on_absence);
  each([&](const KeySpec& spec) { return spec.goes_with.empty(); });
  each(depends_on_word);
}

}  // namespace

Node merge(std::vector<Node> files, Report& report) {
  if (files.empty()) return {};
  return Merger(report).tables(std::move(files), "", "");
}

void fill_defaults(Node& root) {
  const Member* found = root.find("defaults");
  if (!found) return;
  const Node all = found->value;  // root is about to change
  for (const Member& member : all.members) {
    const DefaultsKind* kind = defaults_kind(joined("defaults", member.key));
    if (!kind || !member.value.is(Node::Kind::table)) continue;
    for (Member& tables : root.members) {
      if (tables.key != kind->plural) continue;
      for (Member& table : tables.value.members)
        if (table.value.is(Node::Kind::table)) fill(table.value, member.value, kind->tables);
    }
  }
}

}  // namespace lbctl::config
