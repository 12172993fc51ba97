#include "hooks.hpp"

#include <fmt/format.h>
#include <syslog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "asking.hpp"
#include "command.hpp"

namespace lbctl::daemon {

namespace {

/// One that takes longer is killed, so that the next one is not kept waiting for ever.
constexpr std::chrono::seconds patience{60};

/// Empty: it ended well.
awaitable<std::string> outcome(const config::Command& command, const std::string& service,
                               bool quorum) {
  const auto user = find_user(command.user);
  if (!user) co_return user.error().text();
  auto child = Child::start(command.words, environment_of(service, quorum), *user);
  if (!child) co_return child.error().text();
  co_return co_await outcome_of(std::move(*child), patience);
}

}  // namespace

struct Hooks::Turn {
  /// Until nothing is left to be run. `hooks` outlives the event loop's last turn.
  static awaitable<void> take(Hooks& hooks, std::string service) {
    Place& place = hooks.places_[service];
    while (place.next) {
      const auto [quorum, command] = *std::exchange(place.next, std::nullopt);
      const std::string why = co_await outcome(command, service, quorum);
      hooks.tell(service, quorum, why);
    }
    place.runs = false;
  }
};

void Hooks::tell(const std::string& service, bool quorum, const std::string& why) {
  teller_.tell({why.empty() ? LOG_INFO : LOG_WARNING,
                "hook",
                fmt::format("service {}: {} {}", service, quorum ? "up_command" : "down_command",
                            why.empty() ? "was run" : "failed: " + why),
                {{"service", service}}});
}

void Hooks::run(const std::string& service, bool quorum, const config::Quorum& commands) {
  const config::Command& command = quorum ? commands.up_command : commands.down_command;
  Place& place = places_[service];
  place.next.reset();  // what waits is out of date
  if (command.words.empty()) return;
  place.next.emplace(quorum, command);
  if (place.runs) return;
  place.runs = true;
  asio::co_spawn(io_, Turn::take(*this, service), asio::detached);
}

}  // namespace lbctl::daemon
