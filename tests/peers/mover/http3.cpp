#include "mover/http3.hpp"

#include <cstdint>

namespace peer {
namespace {

constexpr std::uint64_t data_frame = 0x00;
constexpr char headers_frame = 0x01, settings_frame = 0x04, control_type = 0x00;

/// RFC 9000, 16; takes it off the front.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto first = static_cast<std::uint8_t>(text[0]);
  const std::size_t length = std::size_t{1} << (first >> 6);
  if (text.size() < length) return std::nullopt;
  std::uint64_t out = first & 0x3f;
  for (std::size_t i = 1; i < length; ++i)
    out = out << 8 | static_cast<std::uint8_t>(text[i]);
  text.remove_prefix(length);
  return out;
}

/// A field whose name stands in QPACK's static table, with a literal value (RFC 9204, 4.5.4).
std::string field(char name, std::string_view value) {
  return std::string{static_cast<char>(0x50 | name), static_cast<char>(value.size())} +
         std::string(value);
}

}  // namespace

std::string control_stream() {
  return {control_type, settings_frame, 0};
}

std::string get_request(std::string_view path) {
  constexpr char authority = 0, path_name = 1;
  std::string fields{0, 0, '\xd1', '\xd7'};  // no dynamic table; :method GET, :scheme https
  fields += field(authority, "lbctl.test") + field(path_name, path);
  const std::string length{static_cast<char>(0x40 | fields.size() >> 8),
                           static_cast<char>(fields.size())};
  return headers_frame + length + fields;
}

std::optional<std::string> body_of(std::string_view stream) {
  std::string out;
  while (!stream.empty()) {
    const auto type = take_number(stream), length = take_number(stream);
    if (!type || !length || *length > stream.size()) return std::nullopt;
    if (*type == data_frame) out += stream.substr(0, *length);
    stream.remove_prefix(*length);
  }
  return out;
}

}  // namespace peer
