#include "tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

namespace lbctl::config {
namespace {

using Kind = Piece::Kind;

bool in_quotes(std::string_view part) {
  return part.starts_with('"') || part.starts_with('\'');
}

/// The first member whose key an earlier one has, and the earlier one. They are in the order of the
/// file.
std::optional<std::pair<Span, Span>> twice(const std::vector<Member>& members) {
  const auto places = [](const Member& later, const Member& first) {
    return std::pair(later.key_at, first.key_at);
  };
  constexpr std::size_t few = 12;  // then comparing each with each costs least
  if (members.size() <= few) {
    for (auto one = members.begin(); one != members.end(); ++one) {
      const auto first = std::ranges::find(members.begin(), one, one->key, &Member::key);
      if (first != one) return places(*one, *first);
    }
    return std::nullopt;
  }
  std::unordered_map<std::string_view, const Member*> seen;
  seen.reserve(members.size());
  for (const Member& member : members) {
    const auto [first, added] = seen.try_emplace(member.key, &member);
    if (!added) return places(member, *first->second);
  }
  return std::nullopt;
}

/// Functions go on after an error, on what then is no tree; the first error counts.
class Builder {
 public:
  Builder(const File& file, const Scan& scan, const Scalars& scalars, Report& report)
      : file_(file), pieces_(scan.pieces), scalars_(scalars), report_(report) {
    tables_.emplace_back();
  }

  std::optional<Node> run() {
    std::size_t current = 0;  // the table that the lines belong to
    while (next_ < pieces_.size() && !failed_) {
      if (pieces_[next_].kind == Kind::key) {
        pair(current);
      } else {
        current = header();
      }
    }
    Node out = assemble(0);
    if (failed_) return std::nullopt;
    return out;
  }

 private:
  /// A table that is no value: whether it may be named again depends on what named it.
  struct Table {
    enum class By : std::uint8_t {
      implied,  ///< the `a` of [a.b]: [a] may follow
      header,   ///< [a]: tables may be added by headers, keys only below it
      dotted,   ///< the `a` of a.b = 1: keys may be added as long as no header follows
      list,     ///< [[a]]: more of them may follow; the tables of the list have it as parent
      item,     ///< one of a list, or an inline table while it is read
    };
    Node node;
    By by = By::item;
    std::size_t parent = 0;
    std::string key;
    Span key_at;
    std::size_t section = 0;  ///< of dotted: the header that it stands under
    std::size_t last = 0;     ///< of list: its newest item
  };
  using By = Table::By;

  /// [a.b] or [[a.b]]: the table for the lines that follow.
  std::size_t header() {
    const Piece head = pieces_[next_++];
    ++section_;
    std::size_t table = 0;
    while (true) {
      const Span part = pieces_[next_++].at;
      if (next_ == pieces_.size() || pieces_[next_].kind != Kind::part)
        return head.kind == Kind::header ? named(table, part, head.at)
                                         : listed(table, part, head.at);
      const std::size_t found = child(table, part, By::implied, head.at).first;
      table = tables_[found].by == By::list ? tables_[found].last : found;
    }
  }

  std::size_t named(std::size_t parent, Span part, Span at) {
    const auto [table, added] = child(parent, part, By::header, at);
    if (!added && tables_[table].by != By::implied) defined_twice(part, tables_[table].key_at);
    tables_[table].by = By::header;
    tables_[table].key_at = part;
    tables_[table].node.at = at;
    return table;
  }

  std::size_t listed(std::size_t parent, Span part, Span at) {
    const auto [list, added] = child(parent, part, By::list, at);
    if (tables_[list].by != By::list) defined_twice(part, tables_[list].key_at);
    if (added) tables_[list].node.kind = Node::Kind::list;
    const std::size_t item = tables_.size();
    tables_.emplace_back().parent = list;
    tables_.back().node.at = at;
    tables_[list].last = item;
    return item;
  }

  /// The table of that key, made now if there is none, and whether it was.
  std::pair<std::size_t, bool> child(std::size_t parent, Span part, By by, Span at) {
    std::string key = key_at(part);
    const auto [entry, added] = by_key_.try_emplace({parent, key}, tables_.size());
    if (added) {
      Table& made = tables_.emplace_back();
      made.node.at = at;
      made.by = by;
      made.parent = parent;
      made.key = std::move(key);
      made.key_at = part;
      made.section = section_;
    }
    return {entry->second, added};
  }

  /// key = value, or a.b.key = value.
  void pair(std::size_t table) {
    ++next_;
    Span part = pieces_[next_++].at;
    for (; pieces_[next_].kind == Kind::part; part = pieces_[next_++].at)
      table = dotted(table, part);
    std::string key = key_at(part);
    Node node = value();
    tables_[table].node.members.push_back({std::move(key), part, std::move(node)});
  }

  std::size_t dotted(std::size_t parent, Span part) {
    const auto [table, added] = child(parent, part, By::dotted, part);
    Table& found = tables_[table];
    if (found.by == By::implied) {
      found.by = By::dotted;
      found.section = section_;
    }
    if (found.by != By::dotted || found.section != section_) defined_twice(part, found.key_at);
    return table;
  }

  std::string key_at(Span part) const {
    const std::string_view text = file_.text(part);
    return in_quotes(text) ? scalars_.at(text).text : std::string(text);
  }

  Node value() {
    const Piece piece = pieces_[next_++];
    Node out;
    switch (piece.kind) {
      case Kind::scalar:
        out = scalars_.at(file_.text(piece.at));
        break;
      case Kind::list:
        out.kind = Node::Kind::list;
        while (pieces_[next_].kind != Kind::end)
          out.items.push_back(value());
        ++next_;
        break;
      default:
        out = inline_table();
    }
    out.at = piece.at;
    return out;
  }

  Node inline_table() {
    const std::size_t table = tables_.size();
    tables_.emplace_back();
    while (pieces_[next_].kind != Kind::end)
      pair(table);
    ++next_;
    Node out = assemble(table);
    tables_.pop_back();
    return out;
  }

  /// Hands each table behind `first` to its parent, and gives the first. A table stands behind its
  /// parent, so each is complete when its turn comes.
  Node assemble(std::size_t first) {
    while (true) {
      Table& table = tables_.back();
      std::ranges::sort(table.node.members, {},
                        [](const Member& member) { return member.key_at.offset; });
      // The newest of a list came first.
      std::ranges::reverse(table.node.items);
      if (const auto found = twice(table.node.members)) defined_twice(found->first, found->second);
      if (tables_.size() - 1 == first) return std::move(table.node);
      Node& parent = tables_[table.parent].node;
      if (tables_[table.parent].by == By::list) {
        parent.items.push_back(std::move(table.node));
      } else {
        by_key_.erase({table.parent, table.key});
        parent.members.push_back({std::move(table.key), table.key_at, std::move(table.node)});
      }
      tables_.pop_back();
    }
  }

  void defined_twice(Span again, Span first) {
    if (!std::exchange(failed_, true))
      report_.error(file_.in_all(again), fmt::format("{} is defined twice", file_.text(again)),
                    fmt::format("first on {}", report_.place(file_.in_all(first))));
  }

  const File& file_;
  const std::vector<Piece>& pieces_;
  const Scalars& scalars_;
  Report& report_;
  bool failed_ = false;
  std::size_t next_ = 0;
  std::size_t section_ = 0;    ///< how many headers there were
  std::vector<Table> tables_;  ///< the first is the top level
  std::map<std::pair<std::size_t, std::string>, std::size_t> by_key_;  ///< parent and key
};

}  // namespace

std::vector<std::string_view> scalar_texts(const File& file, const Scan& scan) {
  std::vector<std::string_view> out;
  std::unordered_set<std::string_view> seen;
  for (const Piece& piece : scan.pieces) {
    const std::string_view text = file.text(piece.at);
    const bool wanted = piece.kind == Kind::scalar || (piece.kind == Kind::part && in_quotes(text));
    if (wanted && seen.insert(text).second) out.push_back(text);
  }
  return out;
}

std::optional<Node> build_tree(const File& file, const Scan& scan, const Scalars& scalars,
                               Report& report) {
  return Builder(file, scan, scalars, report).run();
}

}  // namespace lbctl::config
