#include "teller.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>

namespace lbctl::daemon {
namespace {

/// $JOURNAL_STREAM names the device and inode of standard error if that is the journal
/// (systemd.exec(5)).
bool is_journal(int fd) {
  const char* named = std::getenv("JOURNAL_STREAM");
  struct stat is{};
  if (!named || ::fstat(fd, &is) != 0) return false;
  return fmt::format("{}:{}", is.st_dev, is.st_ino) == named;
}

void to_journal(const Event& event) {
  std::vector<std::string> lines{"MESSAGE=" + event.text,
                                 fmt::format("PRIORITY={}", event.priority),
                                 "SYSLOG_IDENTIFIER=lbctl", "LBCTL_EVENT=" + event.kind};
  for (const auto& [name, value] : event.fields) {
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    lines.push_back("LBCTL_" + upper + "=" + value);
  }
  std::vector<iovec> parts;
  for (std::string& line : lines)
    parts.push_back({line.data(), line.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

std::string to_line(const Event& event) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  Json json{{"time", std::chrono::duration_cast<std::chrono::milliseconds>(now).count()},
            {"event", event.kind}};
  for (const auto& [name, value] : event.fields)
    json[name] = value;
  json["text"] = event.text;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Teller::Teller() : journal_(is_journal(STDERR_FILENO)) {}

int Teller::listen(Listener listener) {
  listeners_.emplace(next_, std::move(listener));
  return next_++;
}

void Teller::tell(const Event& event) {
  if (journal_)
    to_journal(event);
  else
    fmt::print(stderr, "lbctl: {}{}\n",
               event.priority <= LOG_ERR       ? "error: "
               : event.priority == LOG_WARNING ? "warning: "
                                               : "",
               event.text);
  if (listeners_.empty()) return;
  const std::string line = to_line(event);
  const auto listeners = listeners_;  // one that is gone leaves while it is told
  for (const auto& [handle, listener] : listeners)
    listener(line);
}

void notify(const std::string& state) {
  sd_notify(0, state.c_str());
}

}  // namespace lbctl::daemon
