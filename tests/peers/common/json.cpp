#include "common/json.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace peer {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

}  // namespace

JsonObject& JsonObject::add(std::string_view key, std::string_view value) {
  return add_raw(key, quoted(value));
}

JsonObject& JsonObject::add(std::string_view key, const std::vector<JsonObject>& values) {
  std::string list;
  for (const auto& value : values)
    list += (list.empty() ? "" : ",") + value.text();
  return add_raw(key, "[" + list + "]");
}

JsonObject& JsonObject::add_raw(std::string_view key, std::string_view json) {
  members_ += fmt::format("{}{}:{}", members_.empty() ? "" : ",", quoted(key), json);
  return *this;
}

std::expected<EventLog, std::string> EventLog::open(std::string_view path) {
  const std::string name(path);
  Fd file(name.empty() ? ::dup(STDOUT_FILENO)
                       : ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file) return std::unexpected(fmt::format("log {}: {}", name, std::strerror(errno)));
  return EventLog(std::move(file));
}

void EventLog::write(const JsonObject& event) const {
  const auto line = event.text() + "\n";
  if (::write(file_.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    fmt::print(stderr, "log: {}\n{}", std::strerror(errno), line);
}

}  // namespace peer
