#include "mptcp/server.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <map>

#include "mptcp/pattern.hpp"
#include "mptcp/subflows.hpp"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262  // include/uapi/linux/in.h
#endif

namespace peer {
namespace {

constexpr std::size_t max_line = 16 << 20;

std::string system_error(std::string_view step) {
  return fmt::format("{}: {}", step, std::strerror(errno));
}

std::expected<Fd, std::string> listen_on(const SocketAddress& address, bool plain_tcp) {
  Fd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                     plain_tcp ? IPPROTO_TCP : IPPROTO_MPTCP));
  const int on = 1;
  if (!socket) return std::unexpected(system_error("socket"));
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // So that 0.0.0.0 and [::] can be listened on side by side.
  if (address.family() == AF_INET6)
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(socket.get(), address.get(), address.length) != 0 || listen(socket.get(), 1024) != 0)
    return std::unexpected(system_error(to_string(address)));
  return socket;
}

struct Client {
  Fd socket;
  std::string remote;
  std::string input;
  std::string output;
  std::uint64_t bulk_left = 0;  // octets of the pattern still to be put into output
  std::uint64_t bulk_sent = 0;
  std::uint64_t lines = 0;
  SocketReport best;
};

class EchoServer {
 public:
  EchoServer(const ServeOptions& options, const EventLog& log) : options_(options), log_(log) {}

  std::expected<void, std::string> open();
  std::expected<void, std::string> run();

 private:
  void watch(int fd, std::uint32_t events, int operation);
  void accept_all(int listener);
  void on_event(Client& client, std::uint32_t events);
  bool read_input(Client& client);
  void answer_lines(Client& client);
  void answer(Client& client, std::string_view line);
  bool write_output(Client& client);
  void close(Client& client);

  const ServeOptions& options_;
  const EventLog& log_;
  Fd epoll_, signals_;
  std::map<int, Fd> listeners_;
  std::map<int, Client> clients_;
};

void EchoServer::watch(int fd, std::uint32_t events, int operation) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  epoll_ctl(epoll_.get(), operation, fd, &event);
}

std::expected<void, std::string> EchoServer::open() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC));
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!signals_ || !epoll_) return std::unexpected(system_error("epoll"));
  watch(signals_.get(), EPOLLIN, EPOLL_CTL_ADD);
  for (const auto& address : options_.listen) {
    auto socket = listen_on(address, options_.plain_tcp);
    if (!socket) return std::unexpected(socket.error());
    watch(socket->get(), EPOLLIN, EPOLL_CTL_ADD);
    listeners_.emplace(socket->get(), std::move(*socket));
    JsonObject event;
    event.add("event", "listening").add("server", options_.name).add("local", to_string(address));
    log_.write(event);
  }
  return {};
}

std::expected<void, std::string> EchoServer::run() {
  std::array<epoll_event, 64> events{};
  while (true) {
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    if (count < 0 && errno != EINTR) return std::unexpected(system_error("epoll_wait"));
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == signals_.get()) {
        while (!clients_.empty())
          close(clients_.begin()->second);
        return {};
      }
      if (listeners_.contains(fd))
        accept_all(fd);
      else if (const auto found = clients_.find(fd); found != clients_.end())
        on_event(found->second, events[static_cast<std::size_t>(i)].events);
    }
  }
}

void EchoServer::accept_all(int listener) {
  while (true) {
    SocketAddress remote;
    remote.length = sizeof remote.storage;
    Fd socket(accept4(listener, remote.get(), &remote.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int fd = socket.get();
    auto& client = clients_[fd];
    client.socket = std::move(socket);
    client.remote = to_string(remote);
    client.best = inspect(fd);
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    JsonObject event;
    event.add("event", "open").add("server", options_.name).add("remote", client.remote);
    client.best.add_to(event);
    log_.write(event);
  }
}

void EchoServer::on_event(Client& client, std::uint32_t events) {
  const bool ended = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_input(client);
  do {
    answer_lines(client);
    if (!write_output(client)) return close(client);
  } while (client.output.empty() && client.bulk_left == 0 && client.input.contains('\n'));
  if (ended) return close(client);  // what the client sent before its end is answered
  watch(client.socket.get(), client.output.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

/// False at the end of the stream.
bool EchoServer::read_input(Client& client) {
  std::array<char, 65536> buffer;
  while (client.input.size() < max_line) {
    const ssize_t got = recv(client.socket.get(), buffer.data(), buffer.size(), 0);
    if (got > 0)
      client.input.append(buffer.data(), static_cast<std::size_t>(got));
    else
      return got < 0 && (errno == EAGAIN || errno == EINTR);
  }
  return false;
}

/// Lines wait while a bulk answer is under way, so that answers keep their order.
void EchoServer::answer_lines(Client& client) {
  while (client.bulk_left == 0) {
    const auto end = client.input.find('\n');
    if (end == std::string::npos) return;
    answer(client, std::string_view(client.input).substr(0, end));
    client.input.erase(0, end + 1);
  }
}

void EchoServer::answer(Client& client, std::string_view line) {
  ++client.lines;
  auto report = inspect(client.socket.get());
  if (line == "SUBFLOWS") {
    JsonObject event;
    event.add("event", "subflows").add("server", options_.name).add("remote", client.remote);
    report.add_to(event);
    log_.write(event);
    client.output += event.text() + "\n";
  } else {
    client.output += fmt::format("{} {}\n", options_.name, line);
  }
  if (report.established() >= client.best.established()) client.best = std::move(report);
  if (line.starts_with("SEND ")) {
    const auto number = line.substr(5);
    std::from_chars(number.data(), number.data() + number.size(), client.bulk_left);
    client.bulk_sent = 0;
  }
}

/// False when the connection is broken.
bool EchoServer::write_output(Client& client) {
  while (true) {
    if (client.output.empty()) {
      const auto piece = std::min<std::uint64_t>(client.bulk_left, 65536);
      if (piece == 0) return true;
      for (std::uint64_t i = 0; i < piece; ++i)
        client.output += pattern_at(client.bulk_sent + i);
      client.bulk_sent += piece;
      client.bulk_left -= piece;
    }
    const ssize_t sent =
        send(client.socket.get(), client.output.data(), client.output.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    client.output.erase(0, static_cast<std::size_t>(sent));
  }
}

void EchoServer::close(Client& client) {
  JsonObject event;
  event.add("event", "close").add("server", options_.name).add("remote", client.remote);
  event.add("lines", client.lines);
  client.best.add_to(event);
  log_.write(event);
  clients_.erase(client.socket.get());
}

}  // namespace

std::expected<void, std::string> serve(const ServeOptions& options, const EventLog& log) {
  EchoServer server(options, log);
  if (auto opened = server.open(); !opened) return opened;
  return server.run();
}

}  // namespace peer
