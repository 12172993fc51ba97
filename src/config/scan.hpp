// One strict pass over the text: what it consists of, where each piece stands, the exact place of a
// syntax error, and limits. What a single value means is left to toml11.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "source.hpp"

namespace lbctl::config {

struct SyntaxError {
  Span at;
  std::string message;
  std::string hint;
};

/// What the text consists of, in its order.
struct Piece {
  enum class Kind : std::uint8_t {
    header,        ///< `[a.b]`; its parts follow
    array_header,  ///< `[[a.b]]`; its parts follow
    key,           ///< where the key of a pair starts; its parts follow, then its value
    part,          ///< of a key or a header, with its quotes
    scalar,        ///< a value that is neither list nor table, with its quotes
    list,          ///< all of it; what is in it follows, then `end`
    inline_table,  ///< the same
    end,
  };
  Kind kind{};
  Span at;
};

struct Scan {
  std::vector<Piece> pieces;
};

inline constexpr std::size_t max_line_length = 16384;
/// Arrays and inline tables inside each other, and parts of a key: lbctl's own files need 4.
inline constexpr std::size_t max_nesting = 16;

/// Checks size, encoding and syntax (TOML 1.0.0). That a key is defined twice is left to
/// build_tree().
std::expected<Scan, SyntaxError> scan(const File& file);

}  // namespace lbctl::config
