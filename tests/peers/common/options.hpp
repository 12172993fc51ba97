#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace peer {

/// The command line of a peer: "--name VALUE" options, bare "--name" flags, and the rest.
class Options {
 public:
  /// An option in neither list is an error.
  static std::expected<Options, std::string> parse(std::span<char* const> arguments,
                                                   const std::vector<std::string_view>& with_value,
                                                   const std::vector<std::string_view>& flags);

  bool has(std::string_view name) const { return values_.contains(name); }
  std::string text(std::string_view name, std::string_view otherwise = "") const;
  std::expected<std::uint64_t, std::string> number(std::string_view name,
                                                   std::uint64_t otherwise) const;
  /// "150ms" or "2s"; a bare number is an error.
  std::expected<std::chrono::milliseconds, std::string> duration(
      std::string_view name, std::chrono::milliseconds otherwise) const;
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> positional_;
};

}  // namespace peer
