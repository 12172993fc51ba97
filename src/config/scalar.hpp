// The plain words of TOML (numbers, true and false, dates) as text, before toml11 reads them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lbctl::config {

struct WrongScalar {
  std::string message;
  std::string hint;
};

/// What is wrong with a word that stands where a value should, in an operator's words; nothing if
/// TOML knows it.
std::optional<WrongScalar> wrong_scalar(std::string_view word);

/// YYYY-MM-DD by its digits.
bool is_date(std::string_view word);

/// Exactly `digits` hexadecimal digits that name a character (not a surrogate).
bool is_code_point(std::string_view hex, std::size_t digits);

}  // namespace lbctl::config
