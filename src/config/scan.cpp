#include "scan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "scalar.hpp"
#include "text.hpp"

namespace lbctl::config {
namespace {

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

/// Recursive descent; every function stops at the first error, which is then in error_.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::expected<Scan, SyntaxError> run() {
    while (!failed_ && !at_end())
      line();
    if (failed_) return std::unexpected(std::move(error_));
    return std::move(out_);
  }

 private:
  // --- the text
  bool at_end() const { return pos_ >= text_.size(); }
  char peek(std::size_t ahead = 0) const {
    return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0';
  }
  bool looking_at(std::string_view what) const { return text_.substr(pos_).starts_with(what); }
  bool at_line_end() const { return at_end() || peek() == '\n' || looking_at("\r\n"); }

  void fail(Span at, std::string message, std::string hint = {}) {
    if (failed_) return;
    failed_ = true;
    error_ = {at, std::move(message), std::move(hint)};
  }
  void fail_here(std::string message, std::string hint = {}) {
    const auto character = decode_utf8(text_.substr(pos_));
    fail({pos_, character ? character->octets : 1}, std::move(message), std::move(hint));
  }

  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t')
      ++pos_;
  }
  void newline() {
    if (peek() == '\r') ++pos_;
    if (!at_end()) ++pos_;
  }
  void comment() {
    while (!at_line_end() && !failed_) {
      if (is_control(peek())) return fail_here("control character in a comment");
      ++pos_;
    }
  }
  static bool is_control(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  }
  /// Between the elements of an array everything may stand that is no value.
  void skip_blanks_and_lines() {
    while (!failed_) {
      skip_blanks();
      if (peek() == '#') comment();
      if (at_end() || !at_line_end()) return;
      newline();
    }
  }

  // --- lines
  void line() {
    skip_blanks();
    if (peek() == '[') {
      header();
    } else if (!at_line_end() && peek() != '#') {
      pair();
    }
    if (failed_) return;
    skip_blanks();
    if (peek() == '#') comment();
    if (failed_) return;
    if (!at_line_end()) {
      return fail_here("unexpected text after the end of the statement",
                       "each key and each [table] stands on a line of its own");
    }
    newline();
  }

  void put(Piece::Kind kind, std::size_t start) {
    out_.pieces.push_back({kind, {start, pos_ - start}});
  }

  void header() {
    const std::size_t start = pos_;
    const bool array = looking_at("[[");
    const std::size_t first = out_.pieces.size();
    pos_ += array ? 2 : 1;
    put(array ? Piece::Kind::array_header : Piece::Kind::header, start);
    key();
    if (failed_) return;
    if (!looking_at(array ? "]]" : "]")) {
      return fail_here(array ? "`]]` expected after the name of the table"
                             : "`]` expected after the name of the table");
    }
    pos_ += array ? 2 : 1;
    out_.pieces[first].at.length = pos_ - start;
  }

  void pair() {
    put(Piece::Kind::key, pos_);
    key();
    if (failed_) return;
    if (peek() != '=') {
      return fail_here("`=` expected after the key",
                       is_bare(peek()) ? "a key with blanks needs quotes" : "");
    }
    ++pos_;
    skip_blanks();
    value();
  }

  /// A dotted key and the blanks behind it.
  void key() {
    for (std::size_t parts = 1;; ++parts) {
      skip_blanks();
      const std::size_t start = pos_;
      if (looking_at("\"\"\"") || looking_at("'''")) {
        fail_here("a key can't be a text of several lines");
      } else if (peek() == '"' || peek() == '\'') {
        text_value();
      } else {
        while (is_bare(peek()))
          ++pos_;
      }
      if (failed_) return;
      if (pos_ == start) {
        return fail_here("a key was expected here",
                         "letters, digits, - and _, or any text in quotes; parts are joined by "
                         "dots");
      }
      put(Piece::Kind::part, start);
      if (parts > max_nesting) return fail_here("the key has too many parts");
      skip_blanks();
      if (peek() != '.') return;
      ++pos_;
    }
  }

  // --- values
  void value() {
    const std::size_t start = pos_;
    const std::size_t first = out_.pieces.size();
    switch (peek()) {
      case '[':
        put(Piece::Kind::list, start);
        nested([&] { array(); });
        break;
      case '{':
        put(Piece::Kind::inline_table, start);
        nested([&] { inline_table(); });
        break;
      case '"':
      case '\'':
        text_value();
        return put(Piece::Kind::scalar, start);
      default:
        plain();
        return put(Piece::Kind::scalar, start);
    }
    out_.pieces[first].at.length = pos_ - start;
    put(Piece::Kind::end, pos_);
  }

  template <class F>
  void nested(F&& read) {
    if (++nesting_ > max_nesting) return fail_here("arrays and tables are nested too deeply");
    read();
    --nesting_;
  }

  void array() {
    const std::size_t start = pos_++;
    while (!failed_) {
      skip_blanks_and_lines();
      if (failed_) return;
      if (peek() == ']') break;
      if (at_end()) return fail({start, 1}, "this list is never closed", "a `]` is missing");
      value();
      if (failed_) return;
      skip_blanks_and_lines();
      if (peek() == ',') {
        ++pos_;
      } else if (at_end()) {
        return fail({start, 1}, "this list is never closed", "a `]` is missing");
      } else if (!failed_ && peek() != ']') {
        return fail_here("`,` or `]` expected in the list");
      }
    }
    if (!failed_) ++pos_;
  }

  void inline_table() {
    const std::size_t start = pos_++;
    const char* const one_line = "an inline table stands on one line; write a [table] instead";
    skip_blanks();
    while (!failed_ && peek() != '}') {
      if (at_line_end() || peek() == '#')
        return fail({start, 1}, "this `{` is never closed", one_line);
      pair();
      if (failed_) return;
      skip_blanks();
      if (peek() == '}') break;
      if (at_line_end() || peek() == '#')
        return fail({start, 1}, "this `{` is never closed", one_line);
      if (peek() != ',') return fail_here("`,` or `}` expected in the inline table");
      ++pos_;
      skip_blanks();
      if (peek() == '}') return fail_here("no `,` may stand before the `}` of an inline table");
    }
    if (!failed_) ++pos_;
  }

  void text_value() {
    const char quote = peek();
    const std::string three(3, quote);
    const std::size_t start = pos_;
    const bool several_lines = looking_at(three);
    pos_ += several_lines ? 3 : 1;
    while (!failed_) {
      if (at_end() || (!several_lines && at_line_end())) {
        return fail({start, several_lines ? 3u : 1u}, "the text that starts here is never closed",
                    fmt::format("a {} is missing", several_lines ? three : three.substr(0, 1)));
      }
      if (several_lines ? looking_at(three) : peek() == quote) break;
      if (at_line_end()) {
        newline();
      } else if (quote == '"' && peek() == '\\') {
        escape(several_lines);
      } else if (is_control(peek())) {
        fail_here("control character in a text", "write it as \\uXXXX");
      } else {
        ++pos_;
      }
    }
    if (failed_) return;
    pos_ += several_lines ? 3 : 1;
    // Up to two quotes may stand right before the closing three.
    for (int i = 0; several_lines && i < 2 && peek() == quote; ++i)
      ++pos_;
  }

  void escape(bool several_lines) {
    const std::size_t start = pos_++;
    if (peek() != '\0' && std::string_view("btnfr\"\\").contains(peek())) {
      ++pos_;
    } else if (peek() == 'u' || peek() == 'U') {
      const std::size_t digits = peek() == 'u' ? 4 : 8;
      if (!is_code_point(text_.substr(pos_ + 1, digits), digits)) {
        return fail({start, 2}, "this escape names no character",
                    "\\uXXXX or \\UXXXXXXXX with hexadecimal digits");
      }
      pos_ += 1 + digits;
    } else if (std::size_t end = text_.find_first_not_of(" \t", pos_);
               several_lines && end != std::string_view::npos &&
               (text_[end] == '\n' || text_.substr(end).starts_with("\r\n"))) {
      pos_ = end;
    } else {
      fail({start, 2}, "unknown escape in a text", "known: \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX");
    }
  }

  void plain() {
    const std::size_t start = pos_;
    const auto ends = [&] {
      return at_line_end() || std::string_view(" \t,]}#=\r").contains(peek());
    };
    while (!ends())
      ++pos_;
    // A date and a time may be joined by a blank.
    if (peek() == ' ' && is_date(text_.substr(start, pos_ - start)) && peek(1) >= '0' &&
        peek(1) <= '9') {
      ++pos_;
      while (!ends())
        ++pos_;
    }
    const std::string_view word = text_.substr(start, pos_ - start);
    if (word.empty()) return fail_here("a value is missing here");
    if (const auto wrong = wrong_scalar(word)) {
      fail({start, word.size()}, wrong->message, wrong->hint);
    }
  }

  std::string_view text_;
  std::size_t pos_ = 0;
  std::size_t nesting_ = 0;
  bool failed_ = false;
  SyntaxError error_;
  Scan out_;
};

std::optional<SyntaxError> limits_and_encoding(const File& file) {
  const std::string_view text = file.text();
  if (text.size() > max_file_size) {
    return SyntaxError{
        {0, 1}, fmt::format("the file is larger than {} MiB", max_file_size >> 20), ""};
  }
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const bool ascii = static_cast<unsigned char>(text[i]) < 0x80;
    const auto character = ascii ? Utf8{} : decode_utf8(text.substr(i));
    if (!character) {
      return SyntaxError{{i, 1}, "this octet is not UTF-8", "save the file as UTF-8"};
    }
    if (text[i] == '\n') {
      line_start = i + 1;
    } else if (i - line_start >= max_line_length) {
      return SyntaxError{{line_start, 1},
                         fmt::format("the line is longer than {} octets", max_line_length),
                         "lists may go over several lines"};
    }
    i += character->octets;
  }
  return std::nullopt;
}

}  // namespace

std::expected<Scan, SyntaxError> scan(const File& file) {
  if (auto error = limits_and_encoding(file)) return std::unexpected(std::move(*error));
  return Scanner(file.text()).run();
}

}  // namespace lbctl::config
