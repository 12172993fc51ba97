#include "scalar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>

namespace lbctl::config {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool digits_at(std::string_view text, std::size_t at, std::size_t count) {
  return text.size() >= at + count && std::ranges::all_of(text.substr(at, count), is_digit);
}

/// Digits of a base, single underscores between digits allowed; at least one digit.
bool is_digits(std::string_view text, int base) {
  bool after_digit = false;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const int value = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
    if (value >= base) return false;
    after_digit = true;
  }
  return after_digit;
}

bool leading_zero(std::string_view digits) {
  return digits.size() > 1 && digits.front() == '0';
}

std::string_view without_sign(std::string_view word) {
  return word.starts_with('+') || word.starts_with('-') ? word.substr(1) : word;
}

int base_of(std::string_view word) {
  return word.starts_with("0x") ? 16 : word.starts_with("0o") ? 8 : word.starts_with("0b") ? 2 : 10;
}

bool is_integer(std::string_view word) {
  const int base = base_of(word);
  if (base != 10) return is_digits(word.substr(2), base);
  const std::string_view digits = without_sign(word);
  return is_digits(digits, 10) && !leading_zero(digits);
}

bool fits_64_bits(std::string_view word) {
  const int base = base_of(word);
  std::string plain(base == 10 ? word : word.substr(2));
  std::erase(plain, '_');
  if (plain.starts_with('+')) plain.erase(0, 1);
  std::int64_t value = 0;
  return std::from_chars(plain.data(), plain.data() + plain.size(), value, base).ec == std::errc{};
}

bool is_float(std::string_view word) {
  std::string_view rest = without_sign(word);
  if (rest == "inf" || rest == "nan") return true;
  const std::size_t exponent = rest.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    if (!is_digits(without_sign(rest.substr(exponent + 1)), 10)) return false;
    rest = rest.substr(0, exponent);
  }
  const std::size_t point = rest.find('.');
  if (point != std::string_view::npos) {
    if (!is_digits(rest.substr(point + 1), 10)) return false;
    rest = rest.substr(0, point);
  }
  return is_digits(rest, 10) && !leading_zero(rest) &&
         (exponent != std::string_view::npos || point != std::string_view::npos);
}

/// HH:MM:SS with an optional fraction; returns how much of the word that is, 0 if none.
std::size_t time_length(std::string_view word) {
  if (!digits_at(word, 0, 2) || !digits_at(word, 3, 2) || !digits_at(word, 6, 2)) return 0;
  if (word[2] != ':' || word[5] != ':') return 0;
  std::size_t end = 8;
  if (word.size() > end + 1 && word[end] == '.' && is_digit(word[end + 1])) {
    ++end;
    while (end < word.size() && is_digit(word[end]))
      ++end;
  }
  return end;
}

int number_at(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  std::from_chars(text.data() + at, text.data() + at + count, value);
  return value;
}

bool in_calendar(std::string_view date) {
  const std::chrono::year_month_day day(
      std::chrono::year(number_at(date, 0, 4)),
      std::chrono::month(static_cast<unsigned>(number_at(date, 5, 2))),
      std::chrono::day(static_cast<unsigned>(number_at(date, 8, 2))));
  return day.ok();
}

bool on_clock(std::string_view time) {
  constexpr int leap_second = 60;
  return number_at(time, 0, 2) < 24 && number_at(time, 3, 2) < 60 &&
         number_at(time, 6, 2) <= leap_second;
}

bool is_date_or_time(std::string_view word) {
  if (!is_date(word.substr(0, 10))) {
    const std::size_t length = time_length(word);
    return length != 0 && length == word.size() && on_clock(word);
  }
  if (!in_calendar(word.substr(0, 10))) return false;
  if (word.size() == 10) return true;
  if (word[10] != 'T' && word[10] != 't' && word[10] != ' ') return false;
  const std::size_t length = time_length(word.substr(11));
  if (length == 0 || !on_clock(word.substr(11))) return false;
  const std::string_view zone = word.substr(11 + length);
  if (zone.empty() || zone == "Z" || zone == "z") return true;
  if (zone.size() == 6 && (number_at(zone, 1, 2) > 23 || number_at(zone, 4, 2) > 59)) return false;
  return zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':' &&
         digits_at(zone, 1, 2) && digits_at(zone, 4, 2);
}

}  // namespace

bool is_date(std::string_view word) {
  return word.size() == 10 && digits_at(word, 0, 4) && digits_at(word, 5, 2) &&
         digits_at(word, 8, 2) && word[4] == '-' && word[7] == '-';
}

bool is_code_point(std::string_view hex, std::size_t digits) {
  if (hex.size() != digits) return false;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  return error == std::errc{} && end == hex.data() + hex.size() &&
         (value < 0xd800 || (value > 0xdfff && value <= 0x10ffff));
}

std::optional<WrongScalar> wrong_scalar(std::string_view word) {
  if (word == "true" || word == "false" || is_float(word) || is_date_or_time(word)) return {};
  if (is_integer(word)) {
    if (fits_64_bits(word)) return {};
    return WrongScalar{"the number is too large", ""};
  }
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower == "true" || lower == "yes" || lower == "on")
    return WrongScalar{"not a value", "write true"};
  if (lower == "false" || lower == "no" || lower == "off")
    return WrongScalar{"not a value", "write false"};
  if (is_date(word.substr(0, 10))) return WrongScalar{"not a date or time of the calendar", ""};
  if (is_digits(without_sign(word), 10)) {
    return WrongScalar{"a number has no leading zeros", ""};
  }
  return WrongScalar{"not a value", fmt::format("a text needs quotes: \"{}\"", word)};
}

}  // namespace lbctl::config
