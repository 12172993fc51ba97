#include "lbctl/engine/confirmation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace lbctl::engine {

namespace {

constexpr const char* socket_name = "confirm";

/// By the directory's descriptor: its path may be longer than a socket's name can be.
sockaddr_un address_in(const Store& store) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", store.fd(), socket_name);
  std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
  return out;
}

Result<Fd> open_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a socket");
  return fd;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// Nobody may keep the process that waits from its work.
void limit_waiting(int fd) {
  const timeval second{.tv_sec = 1, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
}

}  // namespace

Result<Confirmation> Confirmation::open(const Store& store) {
  auto fd = open_socket();
  if (!fd) return fail(std::move(fd.error()));
  const sockaddr_un address = address_in(store);
  if (::unlinkat(store.fd(), socket_name, 0) != 0 && errno != ENOENT)
    return fail_errno("remove an old socket");
  if (::bind(fd->get(), generic(address), sizeof address) != 0 || ::listen(fd->get(), 8) != 0)
    return fail_errno(fmt::format("listen on {}/{}", store.path(), socket_name));
  return Confirmation(std::move(*fd));
}

Confirmation::Answer Confirmation::wait(std::chrono::seconds time) {
  auto deadline = Clock::now() + time;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return Answer::late;
    pollfd one{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 3'600'000))) <= 0)
      continue;
    const Fd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer) continue;
    limit_waiting(peer.get());
    char word = 0;
    if (::recv(peer.get(), &word, 1, 0) != 1) continue;
    const std::string seconds =
        fmt::to_string(std::chrono::ceil<std::chrono::seconds>(deadline - Clock::now()).count());
    (void)::send(peer.get(), seconds.data(), seconds.size(), MSG_NOSIGNAL);
    if (word == static_cast<char>(Word::confirm)) return Answer::confirmed;
    if (word == static_cast<char>(Word::cancel)) return Answer::cancelled;
    if (word == static_cast<char>(Word::started)) deadline = Clock::now() + time;
  }
}

Result<std::optional<std::int64_t>> tell_confirmation(const Store& store, Word word) {
  const auto fd = open_socket();
  if (!fd) return fail(fd.error());
  const sockaddr_un address = address_in(store);
  if (::connect(fd->get(), generic(address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
    return fail_errno(fmt::format("speak to {}/{}", store.path(), socket_name));
  }
  limit_waiting(fd->get());
  const char octet = static_cast<char>(word);
  std::array<char, 24> answer{};
  if (::send(fd->get(), &octet, 1, MSG_NOSIGNAL) != 1) return std::nullopt;  // it ended in between
  const ssize_t got = ::recv(fd->get(), answer.data(), answer.size() - 1, 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return fail(Error(Errc::busy, "a change that nobody confirmed is being taken back")
                    .with_hint("wait for that; the system log tells how it went"));
  if (got <= 0) return std::nullopt;
  return std::optional<std::int64_t>(std::strtoll(answer.data(), nullptr, 10));
}

}  // namespace lbctl::engine
