#include "key_index.hpp"

#include <fmt/format.h>

namespace lbctl::config {
namespace {

using Kind = Piece::Kind;

/// Walks the pieces once; nesting is limited by the scanner.
class Indexer {
 public:
  Indexer(const File& file, const Scan& scan) : file_(file), pieces_(scan.pieces) {}

  KeyIndex run() {
    while (next_ < pieces_.size()) {
      if (pieces_[next_].kind == Kind::key) {
        pair(depth_, prefix_);
      } else {
        header();
      }
    }
    return std::move(out_);
  }

 private:
  void header() {
    const std::size_t start = pieces_[next_++].at.offset;
    KeyPath path = parts(0, "");
    depth_ = path.parts.size();
    prefix_ = path.full;
    out_.first_use.try_emplace(path.full, path.parts.back());
    out_.keys.emplace(start, std::move(path));
  }

  void pair(std::size_t depth, const std::string& prefix) {
    const std::size_t start = pieces_[next_++].at.offset;
    const KeyPath path = parts(depth, prefix);
    out_.first_use.try_emplace(path.full, path.parts.back());
    out_.keys.emplace(start, path);
    out_.keys.emplace(pieces_[next_].at.offset, path);
    value(depth + path.parts.size(), path.full);
  }

  KeyPath parts(std::size_t depth, const std::string& prefix) {
    KeyPath path{depth, {}, prefix};
    for (; next_ < pieces_.size() && pieces_[next_].kind == Kind::part; ++next_) {
      const Span at = pieces_[next_].at;
      path.parts.push_back(at);
      if (!path.full.empty()) path.full += '.';
      path.full += file_.text(at);
    }
    return path;
  }

  /// Inside an inline table the keys count from the table that the whole path names.
  void value(std::size_t depth, const std::string& path) {
    const Kind kind = pieces_[next_++].kind;
    if (kind == Kind::scalar) return;
    for (std::size_t index = 0; pieces_[next_].kind != Kind::end; ++index) {
      if (kind == Kind::inline_table) {
        pair(depth, path);
      } else {
        value(depth, fmt::format("{}.{}", path, index));
      }
    }
    ++next_;
  }

  const File& file_;
  const std::vector<Piece>& pieces_;
  std::size_t next_ = 0;
  std::size_t depth_ = 0;  ///< of the [table] that the lines belong to
  std::string prefix_;     ///< its name
  KeyIndex out_;
};

}  // namespace

KeyIndex index_keys(const File& file, const Scan& scan) {
  return Indexer(file, scan).run();
}

}  // namespace lbctl::config
