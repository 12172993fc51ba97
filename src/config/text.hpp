// Small things about text: UTF-8, the nearest word, lists in messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lbctl::config {

struct Utf8 {
  std::uint32_t code_point = 0;
  std::size_t octets = 1;
};
/// The character at the start of `text`; nothing if it is not UTF-8 (RFC 3629: no surrogates, no
/// overlong forms) or if `text` is empty.
std::optional<Utf8> decode_utf8(std::string_view text);

/// The word among `known` that `word` most likely stands for: at most a third of its letters
/// inserted, left out, replaced or swapped with the next. Empty if none is near.
std::string nearest(std::string_view word, std::span<const std::string> known);

/// "a", "a or b", "a, b or c"
std::string either(std::span<const std::string> words);
/// "a, b, c"
std::string listed(std::span<const std::string> words);
/// With double quotes around each.
std::vector<std::string> quoted(std::span<const std::string> words);

}  // namespace lbctl::config
