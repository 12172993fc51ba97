#include "tree.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_set>

namespace lbctl::config {
namespace {

using Kind = Piece::Kind;

bool in_quotes(std::string_view part) {
  return part.starts_with('"') || part.starts_with('\'');
}

bool keys_differ(const std::vector<Member>& members) {
  constexpr std::size_t few = 12;  // then comparing each with each costs least
  if (members.size() <= few) {
    for (auto one = members.begin(); one != members.end(); ++one)
      if (std::ranges::find(one + 1, members.end(), one->key, &Member::key) != members.end())
        return false;
    return true;
  }
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const Member& member : members)
    keys.push_back(member.key);
  std::ranges::sort(keys);
  return std::ranges::adjacent_find(keys) == keys.end();
}

/// Every function stops when toml11 is needed, which is then in needs_toml11_.
class Builder {
 public:
  Builder(const File& file, const Scan& scan, const Scalars& scalars)
      : file_(file), pieces_(scan.pieces), scalars_(scalars) {
    tables_.emplace_back();
  }

  std::optional<Node> run() {
    std::size_t current = 0;  // the table that the lines belong to
    while (next_ < pieces_.size() && !needs_toml11_) {
      if (pieces_[next_].kind == Kind::header) {
        current = header();
      } else {
        Member member = pair();
        tables_[current].node.members.push_back(std::move(member));
      }
    }
    if (!needs_toml11_) assemble();
    if (needs_toml11_) return std::nullopt;
    return std::move(tables_.front().node);
  }

 private:
  /// A table that a [header] made: the last that it names, and those before if they are new.
  struct Table {
    Node node;
    std::size_t parent = 0;
    std::string key;
    Span key_at;
  };

  std::size_t header() {
    const Span at = pieces_[next_++].at;
    std::size_t table = 0;
    bool is_new = false;
    for (; next_ < pieces_.size() && pieces_[next_].kind == Kind::part; ++next_) {
      const Span part = pieces_[next_].at;
      std::string key = key_at(part);
      const auto [entry, added] = by_key_.try_emplace({table, key}, tables_.size());
      is_new = added;
      if (added) {
        Table made{.node = {}, .parent = table, .key = std::move(key), .key_at = part};
        made.node.at = at;
        tables_.push_back(std::move(made));
      }
      table = entry->second;
    }
    needs_toml11_ = needs_toml11_ || !is_new;
    return table;
  }

  Member pair() {
    ++next_;
    const Span part = pieces_[next_++].at;
    std::string key = key_at(part);
    return {std::move(key), part, value()};
  }

  std::string key_at(Span part) {
    const std::string_view text = file_.text(part);
    return in_quotes(text) ? scalar(text).text : std::string(text);
  }

  Node scalar(std::string_view text) {
    const auto found = scalars_.find(text);
    if (found != scalars_.end()) return found->second;
    needs_toml11_ = true;
    return {};
  }

  Node value() {
    const Piece piece = pieces_[next_++];
    Node out;
    if (piece.kind == Kind::scalar) {
      out = scalar(file_.text(piece.at));
      out.at = piece.at;
      return out;
    }
    out.at = piece.at;
    out.kind = piece.kind == Kind::list ? Node::Kind::list : Node::Kind::table;
    while (pieces_[next_].kind != Kind::end) {
      if (piece.kind == Kind::list) {
        out.items.push_back(value());
      } else {
        out.members.push_back(pair());
      }
    }
    ++next_;
    needs_toml11_ = needs_toml11_ || !keys_differ(out.members);
    return out;
  }

  /// Hands each table to its parent. A table stands behind its parent, so each is complete when its
  /// turn comes.
  void assemble() {
    for (std::size_t i = tables_.size(); i-- > 0;) {
      Table& table = tables_[i];
      std::ranges::sort(table.node.members, {},
                        [](const Member& member) { return member.key_at.offset; });
      needs_toml11_ = needs_toml11_ || !keys_differ(table.node.members);
      if (i == 0) return;
      tables_[table.parent].node.members.push_back(
          {std::move(table.key), table.key_at, std::move(table.node)});
    }
  }

  const File& file_;
  const std::vector<Piece>& pieces_;
  const Scalars& scalars_;
  std::size_t next_ = 0;
  bool needs_toml11_ = false;
  std::vector<Table> tables_;  ///< the first is the top level
  std::map<std::pair<std::size_t, std::string>, std::size_t> by_key_;  ///< parent and key
};

}  // namespace

bool is_plain(const Scan& scan) {
  const auto& pieces = scan.pieces;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].kind == Kind::array_header) return false;
    // A key has at least one part and a value behind it.
    if (pieces[i].kind == Kind::key && pieces[i + 2].kind == Kind::part) return false;
  }
  return true;
}

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

std::optional<Node> build_tree(const File& file, const Scan& scan, const Scalars& scalars) {
  return Builder(file, scan, scalars).run();
}

}  // namespace lbctl::config
