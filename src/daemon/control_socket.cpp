#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <optional>

#include "servers.hpp"

namespace lbctl::daemon {

namespace asio = boost::asio;
using asio::awaitable;
using asio::local::stream_protocol;

namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr int most_clients = 32;
/// Lines that a slow listener may be behind; then it is left alone.
constexpr std::size_t most_behind = 1000;

/// Root, the daemon's own user, and members of the group.
bool may_ask(int socket, std::optional<gid_t> group) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  if (!group) return false;
  if (peer.gid == *group) return true;
  std::vector<gid_t> groups(256);
  size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  groups.resize(size / sizeof(gid_t));
  return std::ranges::find(groups, *group) != groups.end();
}

class ControlServer : public Server {
 public:
  ControlServer(Keeper& keeper, std::string path, std::optional<gid_t> group, Wishes wishes,
                stream_protocol::acceptor acceptor)
      : state_(std::make_shared<State>(
            State{keeper, std::move(path), group, std::move(wishes), std::move(acceptor)})) {
    asio::co_spawn(state_->acceptor.get_executor(), accept(state_), asio::detached);
  }
  ~ControlServer() override {
    state_->acceptor.close();
    ::unlink(state_->path.c_str());
  }
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct State {
    Keeper& keeper;
    std::string path;
    std::optional<gid_t> group;
    Wishes wishes;
    stream_protocol::acceptor acceptor;
    int clients = 0;
  };
  using Shared = std::shared_ptr<State>;

  static awaitable<void> pause() {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(1));
    co_await timer.async_wait(as_value);
  }
  using Socket = stream_protocol::socket;

  static awaitable<void> accept(Shared state) {
    while (state->acceptor.is_open()) {
      auto [error, socket] = co_await state->acceptor.async_accept(as_value);
      if (error) co_await pause();  // out of descriptors, or closed
      if (error || state->clients >= most_clients) continue;
      if (!may_ask(socket.native_handle(), state->group)) continue;
      asio::co_spawn(state->acceptor.get_executor(), serve(state, std::move(socket)),
                     asio::detached);
    }
  }

  static awaitable<void> serve(Shared state, Socket socket) {
    ++state->clients;
    std::string buffer;
    for (;;) {
      const auto [error, size] = co_await asio::async_read_until(
          socket, asio::dynamic_buffer(buffer, longest_request), '\n', as_value);
      if (error) break;  // also a request that is too long
      Reply reply = reply_to(std::string_view(buffer).substr(0, size), state->keeper);
      buffer.erase(0, size);
      if (reply.reload) reply.answer["result"] = state->wishes.reload() ? "done" : "bad_file";
      if (reply.round) state->wishes.round("asked at the control socket");
      const std::string line =
          reply.answer.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
      const auto [lost, n] = co_await asio::async_write(socket, asio::buffer(line), as_value);
      if (lost) break;
      if (reply.events) co_await stream_events(*state, socket);
    }
    --state->clients;
  }

  /// Until the listener goes away or falls too far behind.
  static awaitable<void> stream_events(State& state, Socket& socket) {
    std::deque<std::string> lines;
    asio::steady_timer news(socket.get_executor());
    const int handle = state.keeper.teller().listen([&](const std::string& line) {
      lines.push_back(line);
      news.cancel();
    });
    while (lines.size() <= most_behind) {
      if (lines.empty()) {
        // A listener that left is noticed now and then, also when nothing happens.
        news.expires_after(std::chrono::seconds(10));
        co_await news.async_wait(as_value);
        if (lines.empty() && hung_up(socket)) break;
        continue;
      }
      const std::string line = std::move(lines.front());
      lines.pop_front();
      const auto [error, n] = co_await asio::async_write(socket, asio::buffer(line), as_value);
      if (error) break;
    }
    state.keeper.teller().leave(handle);
    socket.close();
  }

  static bool hung_up(Socket& socket) {
    char octet = 0;
    return ::recv(socket.native_handle(), &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  Shared state_;
};

}  // namespace

Result<std::unique_ptr<Server>> serve_control(asio::io_context& io, Keeper& keeper,
                                              const std::string& path, const std::string& group,
                                              Wishes wishes) {
  std::optional<gid_t> gid;
  if (!group.empty()) {
    const ::group* found = ::getgrnam(group.c_str());
    if (!found) return fail(Errc::not_found, fmt::format("there is no group \"{}\"", group));
    gid = found->gr_gid;
  }
  ::unlink(path.c_str());  // of a daemon that was killed: there is one at a time
  stream_protocol::acceptor acceptor(io);
  boost::system::error_code error;
  acceptor.open(stream_protocol(), error);
  // Nobody else may connect before the mode is set.
  const mode_t before = ::umask(0177);
  if (!error) acceptor.bind(stream_protocol::endpoint(path), error);
  ::umask(before);
  if (!error) acceptor.listen(most_clients, error);
  if (error) return fail_errno("open the control socket " + path, error.value());
  if (gid && (::chown(path.c_str(), static_cast<uid_t>(-1), *gid) != 0 ||
              ::chmod(path.c_str(), 0660) != 0))
    return fail(Error::from_errno(errno, "give the control socket to group " + group)
                    .with_hint("as a service: SupplementaryGroups=" + group +
                               " in the unit (systemctl edit lbctl)"));
  return std::make_unique<ControlServer>(keeper, path, gid, std::move(wishes), std::move(acceptor));
}

}  // namespace lbctl::daemon
