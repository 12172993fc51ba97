#include "common/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace peer {
namespace {

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

std::expected<Options, std::string> Options::parse(std::span<char* const> arguments,
                                                   const std::vector<std::string_view>& with_value,
                                                   const std::vector<std::string_view>& flags) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (!word.starts_with("--")) {
      options.positional_.emplace_back(word);
    } else if (contains(flags, word)) {
      options.values_[std::string(word)] = "";
    } else if (!contains(with_value, word)) {
      return std::unexpected(fmt::format("unknown option {}", word));
    } else if (++i == arguments.size()) {
      return std::unexpected(fmt::format("{} needs a value", word));
    } else {
      options.values_[std::string(word)] = arguments[i];
    }
  }
  return options;
}

std::string Options::text(std::string_view name, std::string_view otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(otherwise) : found->second;
}

std::expected<std::uint64_t, std::string> Options::number(std::string_view name,
                                                          std::uint64_t otherwise) const {
  if (!has(name)) return otherwise;
  const auto value = text(name);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size())
    return std::unexpected(fmt::format("{}: '{}' is not a number", name, value));
  return number;
}

std::expected<std::chrono::milliseconds, std::string> Options::duration(
    std::string_view name, std::chrono::milliseconds otherwise) const {
  if (!has(name)) return otherwise;
  const auto value = text(name);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  const std::string_view unit(end, value.data() + value.size());
  if (error == std::errc{} && number >= 0 && unit == "ms") return std::chrono::milliseconds(number);
  if (error == std::errc{} && number >= 0 && unit == "s") return std::chrono::seconds(number);
  return std::unexpected(
      fmt::format("{}: '{}' is not a duration such as 150ms or 2s", name, value));
}

}  // namespace peer
