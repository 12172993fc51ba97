// How a diagnostic looks. Whatever octets the file holds, what is printed is harmless to a
// terminal, and the marker stands below what it marks.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "lbctl/config/read.hpp"
#include "text.hpp"

namespace lbctl::config {
namespace {

/// Longer lines are cut around the marker, in columns.
constexpr std::size_t columns_before_marker = 60;
constexpr std::size_t columns_from_marker = 60;

/// One character of the source line as it is shown, and what stands below it.
struct Shown {
  std::string text;
  std::string below;
  std::size_t columns() const { return below.size(); }
};

/// Controls, bidirectional overrides (a line must not lie about its order) and what is not UTF-8.
bool harmful(std::uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x2028 ||
         code_point == 0x2029 || (code_point >= 0x202a && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

/// Shows the character at the start of `text` (not empty) and says how many octets it takes.
Shown show_one(std::string_view text, std::size_t& octets) {
  const auto decoded = decode_utf8(text);
  octets = decoded ? decoded->octets : 1;
  if (text.front() == '\t') return {"\t", "\t"};
  if (decoded && !harmful(decoded->code_point)) return {std::string(text.substr(0, octets)), " "};
  std::string escaped =
      decoded && decoded->code_point > 0xff
          ? fmt::format("\\u{{{:x}}}", decoded->code_point)
          : fmt::format("\\x{:02x}",
                        decoded ? decoded->code_point : static_cast<unsigned char>(text.front()));
  std::string below(escaped.size(), ' ');
  return {std::move(escaped), std::move(below)};
}

Shown show(std::string_view text) {
  Shown out;
  while (!text.empty()) {
    std::size_t octets = 0;
    const Shown one = show_one(text, octets);
    out.text += one.text;
    out.below += one.below;
    text.remove_prefix(octets);
  }
  return out;
}

/// The last `columns` columns of `text`, in whole characters.
std::string_view tail(std::string_view text, std::size_t columns) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0, octets = 0; i < text.size(); i += octets) {
    show_one(text.substr(i), octets);
    starts.push_back(i);
  }
  return starts.size() <= columns ? text : text.substr(starts[starts.size() - columns]);
}

/// The first `columns` columns of `text`, in whole characters.
std::string_view head(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t octets = 0; end < text.size() && columns > 0; --columns, end += octets) {
    show_one(text.substr(end), octets);
  }
  return text.substr(0, end);
}

std::string marked_line(const Diagnostic& diagnostic) {
  const std::string_view line = diagnostic.source_line;
  const std::size_t start =
      std::min(line.size(), static_cast<std::size_t>(std::max(diagnostic.column - 1, 0)));
  const std::size_t width =
      std::min(line.size() - start, static_cast<std::size_t>(std::max(diagnostic.width, 0)));

  const std::string_view before = tail(line.substr(0, start), columns_before_marker);
  const std::string_view marked = head(line.substr(start, width), columns_from_marker);
  const std::string_view after = head(line.substr(start + marked.size()), columns_from_marker);
  const bool cut_left = before.size() < start;
  const bool cut_right = start + marked.size() + after.size() < line.size();

  const Shown left = show(before);
  const Shown middle = show(marked);
  const std::size_t tildes = middle.columns() > 1 ? middle.columns() - 1 : 0;
  return fmt::format("  {}{}{}{}{}\n  {}{}^{}\n", cut_left ? "..." : "", left.text, middle.text,
                     show(after).text, cut_right ? "..." : "", cut_left ? "   " : "", left.below,
                     std::string(tildes, '~'));
}

}  // namespace

std::string render(const Diagnostic& diagnostic) {
  const char* severity = diagnostic.severity == Diagnostic::Severity::error ? "error" : "warning";
  std::string out = show(diagnostic.file).text;
  if (diagnostic.line > 0) out += fmt::format(":{}:{}", diagnostic.line, diagnostic.column);
  out += fmt::format(": {}: {}\n", severity, show(diagnostic.message).text);
  if (diagnostic.line > 0) out += marked_line(diagnostic);
  if (!diagnostic.hint.empty()) out += fmt::format("  hint: {}\n", show(diagnostic.hint).text);
  return out;
}

}  // namespace lbctl::config
