#include "desk.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace lbctl::daemon {

namespace asio = boost::asio;

namespace {

/// Times are multiples of this.
constexpr std::chrono::milliseconds step{10};
/// More are closed: so many are seldom under way at once.
constexpr std::size_t most_idle = 128;

Desk::Time rounded_up(Desk::Time at) {
  const auto since = at.time_since_epoch();
  const auto steps = (since + step - Desk::Time::duration(1)) / step;
  return Desk::Time(step * steps);
}

/// RST, and the socket can be connected again; connect(2). No TIME_WAIT stays, here or at the
/// server.
bool disconnect(int fd) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  return ::connect(fd, &nobody, sizeof nobody) == 0;
}

}  // namespace

Desk::Desk(asio::execution_context& context)
    : service(context),
      timer_(static_cast<asio::io_context&>(context)),
      epoll_(static_cast<asio::io_context&>(context)) {
  if (const int fd = ::epoll_create1(EPOLL_CLOEXEC); fd >= 0) {
    epoll_.assign(fd);
    listen();
  }
}

Desk::~Desk() {
  for (const std::vector<int>& one : idle_)
    for (const int fd : one)
      ::close(fd);
}

void Desk::shutdown() {
  timer_.cancel();
  epoll_.close();
}

std::vector<int>& Desk::idle(int family) {
  return idle_[family == AF_INET6 ? 1 : 0];
}

void Desk::wake_at(Caller& caller, Time& when, Time at) {
  at = rounded_up(at);
  // Its node is used again: this happens twice for each question.
  auto node = due_.extract({when, &caller});
  when = at;
  if (node) {
    node.value() = {at, &caller};
    due_.insert(std::move(node));
  } else {
    due_.emplace(at, &caller);
  }
  arm();
}

void Desk::forget(Caller& caller, Time& when) {
  due_.erase({when, &caller});
}

void Desk::arm() {
  if (due_.empty() || (armed_ && *armed_ <= due_.begin()->first)) return;
  armed_ = due_.begin()->first;
  timer_.expires_at(*armed_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) wake_due();
  });
}

void Desk::wake_due() {
  const auto now = std::chrono::steady_clock::now();
  // Nobody is waited for twice in a round: who is woken sets a time after `now`, or none.
  while (!due_.empty() && due_.begin()->first <= now) {
    Caller& caller = *due_.begin()->second;
    due_.erase(due_.begin());
    caller.wake();
  }
  armed_.reset();
  arm();
}

int Desk::make(int family) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fd;
  const linger at_once{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

int Desk::take(int family, Caller& caller) {
  std::vector<int>& spare = idle(family);
  int fd = -1;
  if (spare.empty()) {
    fd = make(family);
  } else {
    fd = spare.back();
    spare.pop_back();
  }
  if (fd < 0) return fd;
  const auto place = static_cast<std::size_t>(fd);
  if (callers_.size() <= place) callers_.resize(place + 1);
  callers_[place] = &caller;
  return fd;
}

void Desk::give_back(int family, int fd, bool well) {
  callers_.at(static_cast<std::size_t>(fd)) = nullptr;
  if (well && idle(family).size() < most_idle && disconnect(fd))
    idle(family).push_back(fd);
  else
    ::close(fd);
}

void Desk::listen() {
  epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      if (error) return;
                      take_events();
                      listen();
                    });
}

void Desk::take_events() {
  std::array<epoll_event, 128> events;
  const int n = ::epoll_wait(epoll_.native_handle(), events.data(), events.size(), 0);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    // One that was given back is nobody's: its hanging up is told of, too.
    if (Caller* caller = callers_[static_cast<std::size_t>(event.data.fd)])
      caller->ready(event.events);
  }
}

}  // namespace lbctl::daemon
