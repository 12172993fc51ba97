// exec: a program says by its exit status how the server is.
#include <fcntl.h>
#include <fmt/format.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "asking.hpp"
#include "command.hpp"

namespace lbctl::daemon {

namespace {

constexpr std::chrono::seconds after_kill{1};

using Descriptor = asio::posix::stream_descriptor;

/// False: not within that time.
awaitable<bool> ends_within(const std::shared_ptr<Descriptor>& pidfd, std::chrono::seconds time) {
  asio::steady_timer timer(pidfd->get_executor(), time);
  // The timer's handler may run after the end.
  timer.async_wait([pidfd](const error_code& ended) {
    if (!ended) pidfd->cancel();
  });
  const auto [error] = co_await pidfd->async_wait(Descriptor::wait_read, as_value);
  co_return !error;
}

}  // namespace

awaitable<std::string> outcome_of(Child child, std::chrono::seconds patience) {
  // Asio closes what it has, and so does Child: each has its own.
  const int own = ::fcntl(child.fd(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) co_return "its end can't be waited for";
  const auto pidfd = std::make_shared<Descriptor>(co_await asio::this_coro::executor, own);
  if (co_await ends_within(pidfd, patience)) co_return child.reap();
  child.kill();
  if (co_await ends_within(pidfd, after_kill)) child.reap();
  co_return fmt::format("killed after {} s", patience.count());
}

awaitable<Verdict> ask_command(const ProbeSpec& spec, Memory& memory) {
  const config::Command& command = spec.check.command;
  if (!memory.user) {
    auto user = find_user(command.user);
    if (!user) co_return unknown(user.error().text());
    memory.user = std::move(*user);
  }
  auto child = Child::start(command.words, environment_of(spec), *memory.user);
  if (!child) co_return unknown(child.error().text());
  auto why = co_await outcome_of(std::move(*child), std::chrono::seconds(spec.check.timeout));
  co_return why.empty() ? right() : wrong(std::move(why));
}

}  // namespace lbctl::daemon
