// What happened, told to the journal (or standard error) and to whoever listens at the control
// socket.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lbctl::daemon {

using Json = nlohmann::ordered_json;

struct Event {
  int priority;      ///< syslog's: LOG_INFO, LOG_ERR
  std::string kind;  ///< one word: "health", "change", "file", "round"
  std::string text;
  /// snake_case; in the journal in capitals behind "LBCTL_".
  std::vector<std::pair<std::string, std::string>> fields{};
};

class Teller {
 public:
  using Listener = std::function<void(const std::string& line)>;

  Teller();
  void tell(const Event& event);

  int listen(Listener listener);  ///< gets each event as a line of JSON; returns a handle
  void leave(int handle) { listeners_.erase(handle); }

 private:
  bool journal_;  ///< standard error leads there
  int next_ = 0;
  std::map<int, Listener> listeners_;
};

/// sd_notify(3): nothing happens where no systemd waits for it.
void notify(const std::string& state);

}  // namespace lbctl::daemon
