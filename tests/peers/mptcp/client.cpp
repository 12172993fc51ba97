#include "mptcp/client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "common/fd.hpp"
#include "common/json.hpp"
#include "mptcp/pattern.hpp"
#include "mptcp/subflows.hpp"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262  // include/uapi/linux/in.h
#endif

namespace peer {
namespace {

using Clock = std::chrono::steady_clock;

/// One connection and the exchange under way on it: one line out, "NAME LINE" back, and after it
/// perhaps a number of octets of the pattern.
class Connection {
 public:
  void open(const ConnectOptions& options);
  void start_exchange(std::string line, std::uint64_t bulk);
  /// Reads and writes what the socket allows; true when something moved.
  bool advance();
  void fail(std::string why);

  bool waiting() const { return error_.empty() && (!answered_ || bulk_left_ > 0); }
  bool failed() const { return !error_.empty(); }
  pollfd poll_entry() const {
    return {socket_.get(), static_cast<short>(output_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
  }
  bool has_subflows(std::uint64_t wanted) const {
    return failed() || inspect(socket_.get()).established() >= wanted;
  }
  JsonObject report() const;

 private:
  void on_input(std::string_view data);
  void check_answer();

  Fd socket_;
  std::string server_, error_;
  std::string line_, output_, input_;
  bool answered_ = true;
  std::uint64_t bulk_left_ = 0, bulk_received_ = 0, bytes_received_ = 0;
  std::uint64_t exchanges_ = 0;
};

void Connection::fail(std::string why) {
  if (error_.empty()) error_ = std::move(why);
}

void Connection::open(const ConnectOptions& options) {
  socket_ = Fd(::socket(options.target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        options.plain_tcp ? IPPROTO_TCP : IPPROTO_MPTCP));
  if (!socket_) return fail(fmt::format("socket: {}", std::strerror(errno)));
  if (options.bind && bind(socket_.get(), options.bind->get(), options.bind->length) != 0)
    return fail(fmt::format("bind {}: {}", to_string(*options.bind), std::strerror(errno)));
  const auto& target = options.target;
  if (::connect(socket_.get(), target.get(), target.length) != 0 && errno != EINPROGRESS)
    fail(fmt::format("connect: {}", std::strerror(errno)));
}

void Connection::start_exchange(std::string line, std::uint64_t bulk) {
  if (failed()) return;
  line_ = std::move(line);
  output_ = line_ + "\n";
  answered_ = false;
  bulk_left_ = bulk;
  bulk_received_ = 0;
}

bool Connection::advance() {
  bool moved = false;
  while (!output_.empty()) {
    const ssize_t sent = send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINPROGRESS) fail(fmt::format("send: {}", strerror(errno)));
      break;
    }
    output_.erase(0, static_cast<std::size_t>(sent));
    moved = true;
  }
  std::array<char, 65536> buffer;
  while (!failed()) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got == 0) fail("closed by the server");
    if (got < 0 && errno != EAGAIN) fail(fmt::format("recv: {}", std::strerror(errno)));
    if (got <= 0) break;
    on_input({buffer.data(), static_cast<std::size_t>(got)});
    moved = true;
  }
  return moved || failed();
}

void Connection::on_input(std::string_view data) {
  bytes_received_ += data.size();
  if (!answered_) {
    input_ += data;
    check_answer();
    if (!answered_) return;
    data = input_;
  }
  if (data.size() > bulk_left_) return fail("more data than was asked for");
  for (const char octet : data)
    if (octet != pattern_at(bulk_received_++)) return fail("the download is corrupt");
  bulk_left_ -= data.size();
  input_.clear();
}

/// Takes the answer's line off the input, once it is whole, and compares it.
void Connection::check_answer() {
  const auto end = input_.find('\n');
  if (end == std::string::npos) return;
  const auto answer = input_.substr(0, end);
  input_.erase(0, end + 1);
  answered_ = true;
  const auto space = answer.find(' ');
  const auto name = answer.substr(0, space);
  if (space == std::string::npos || answer.substr(space + 1) != line_) fail("a wrong answer");
  if (!server_.empty() && server_ != name) fail(fmt::format("the server became {}", name));
  server_ = name;
  if (!failed()) ++exchanges_;
}

JsonObject Connection::report() const {
  JsonObject object;
  const auto state = socket_ ? inspect(socket_.get()) : SocketReport{};
  object.add("server", server_);
  object.add("local", state.subflows.empty() ? "" : state.subflows.front().local);
  state.add_to(object);
  object.add("bytes_received", bytes_received_).add("bytes_ok", !failed());
  object.add("exchanges", exchanges_);
  if (failed()) object.add("error", error_);
  return object;
}

/// Runs the exchanges of all connections side by side. Who makes no progress while nobody does for
/// `timeout` has failed.
void run_exchanges(std::vector<Connection>& connections, std::chrono::milliseconds timeout) {
  auto last_progress = Clock::now();
  while (true) {
    std::vector<pollfd> entries;
    std::vector<Connection*> waiting;
    for (auto& connection : connections) {
      if (!connection.waiting()) continue;
      entries.push_back(connection.poll_entry());
      waiting.push_back(&connection);
    }
    if (waiting.empty()) return;
    if (Clock::now() - last_progress > timeout) {
      for (auto* connection : waiting)
        connection->fail("timeout");
      return;
    }
    poll(entries.data(), entries.size(), 50);
    for (std::size_t i = 0; i < waiting.size(); ++i)
      if (entries[i].revents != 0 && waiting[i]->advance()) last_progress = Clock::now();
  }
}

void wait_for_subflows(const std::vector<Connection>& connections, const ConnectOptions& options) {
  const auto deadline = Clock::now() + options.timeout;
  const auto ready = [&](const Connection& c) { return c.has_subflows(options.want_subflows); };
  while (!std::ranges::all_of(connections, ready) && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

/// Prints at once: who watches the output waits for it.
void tell(const JsonObject& event) {
  fmt::print("{}\n", event.text());
  std::fflush(stdout);
}

/// Readable once SIGTERM or SIGINT has come.
Fd stop_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(signalfd(-1, &set, SFD_CLOEXEC));
}

/// Lines on all connections, `every` so often, until the time is over or a signal comes.
void keep_talking(std::vector<Connection>& connections, const ConnectOptions& options) {
  const Fd stop = stop_signal();
  for (const auto& connection : connections)
    tell(connection.report().add("event", "connected"));
  const auto end = Clock::now() + options.hold;
  for (std::uint64_t round = 1;; ++round) {
    const auto began = Clock::now();
    for (std::size_t i = 0; i < connections.size(); ++i)
      connections[i].start_exchange(fmt::format("round {} {}.{}", round, getpid(), i), 0);
    run_exchanges(connections, options.timeout);
    const auto now = Clock::now();
    tell(JsonObject()
             .add("event", "round")
             .add("number", round)
             .add("failed", std::ranges::count_if(connections, &Connection::failed))
             .add("milliseconds",
                  std::chrono::duration_cast<std::chrono::milliseconds>(now - began).count()));
    if (options.hold.count() != 0 && now >= end) return;
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(began + *options.every - now);
    pollfd entry{stop.get(), POLLIN, 0};
    if (poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(rest.count(), 0))) > 0) return;
  }
}

}  // namespace

std::expected<bool, std::string> connect_and_talk(const ConnectOptions& options) {
  std::vector<Connection> connections(options.count);
  for (std::size_t i = 0; i < connections.size(); ++i) {
    connections[i].open(options);
    connections[i].start_exchange(fmt::format("hello {}.{}", getpid(), i), 0);
  }
  run_exchanges(connections, options.timeout);
  const auto hold_until = Clock::now() + options.hold;
  wait_for_subflows(connections, options);
  if (options.every)
    keep_talking(connections, options);
  else
    std::this_thread::sleep_until(hold_until);

  for (std::size_t i = 0; i < connections.size(); ++i) {
    auto line = fmt::format("again {}.{} ", getpid(), i);
    while (line.size() < options.payload)
      line += static_cast<char>('a' + (line.size() + i) % 26);
    connections[i].start_exchange(std::move(line), 0);
  }
  run_exchanges(connections, options.timeout);
  if (options.download > 0) {
    for (auto& connection : connections)
      connection.start_exchange(fmt::format("SEND {}", options.download), options.download);
    run_exchanges(connections, options.timeout);
  }
  for (const auto& connection : connections)
    fmt::print("{}\n", connection.report().text());
  return std::ranges::none_of(connections, &Connection::failed);
}

}  // namespace peer
