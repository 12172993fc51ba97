// Numbers in network order, in texts of octets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lbctl::daemon {

/// At the end of a text.
inline void put(std::string& out, std::uint64_t value, int octets) {
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(value >> shift & 0xff);
}

/// Reads from the front, in bounds; nothing more once something was missing.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  std::optional<std::string_view> take(std::size_t octets) {
    if (octets > text_.size()) return std::nullopt;
    const std::string_view out = text_.substr(0, octets);
    text_.remove_prefix(octets);
    return out;
  }
  std::optional<std::uint32_t> number(std::size_t octets) {
    const auto taken = take(octets);
    if (!taken) return std::nullopt;
    std::uint32_t out = 0;
    for (const char octet : *taken)
      out = out << 8U | static_cast<std::uint8_t>(octet);
    return out;
  }
  std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
};

}  // namespace lbctl::daemon
