#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.hpp"

namespace peer {

/// Builds one JSON object on one line, members in the order of the calls.
class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view value);
  JsonObject& add(std::string_view key, const char* value) {
    return add(key, std::string_view(value));
  }
  JsonObject& add(std::string_view key, std::same_as<bool> auto value) {
    return add_raw(key, value ? "true" : "false");
  }
  JsonObject& add(std::string_view key, std::integral auto value)
    requires(!std::same_as<decltype(value), bool>)
  {
    return add_raw(key, std::to_string(value));
  }
  JsonObject& add(std::string_view key, const std::vector<JsonObject>& values);

  std::string text() const { return "{" + members_ + "}"; }

 private:
  JsonObject& add_raw(std::string_view key, std::string_view json);
  std::string members_;
};

/// Writes one object a line; each line is one write(2), so a reader never sees half of it.
class EventLog {
 public:
  /// Appends to the file; without a name, writes to standard output.
  static std::expected<EventLog, std::string> open(std::string_view path);
  void write(const JsonObject& event) const;

 private:
  explicit EventLog(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace peer
