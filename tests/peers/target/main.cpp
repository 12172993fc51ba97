// A server to be checked: takes every connection at many ports, and answers what it reads by HTTP.
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/fd.hpp"

namespace {

constexpr std::string_view answer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    "ok\n";
/// In epoll's data, beside a descriptor that listens.
constexpr std::uint64_t listens = std::uint64_t{1} << 32;

void watch(int epoll, int fd, std::uint64_t kind) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kind | static_cast<std::uint32_t>(fd);
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

bool listen_at(int epoll, std::uint16_t port, std::vector<peer::Fd>& open) {
  open.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = open.back().get(), on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return false;
  if (::listen(fd, 1024) != 0) return false;
  watch(epoll, fd, listens);
  return true;
}

void take(int epoll, int listener) {
  for (;;) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    watch(epoll, fd, 0);
  }
}

void serve(int fd) {
  std::array<char, 4096> buffer{};
  if (::recv(fd, buffer.data(), buffer.size(), 0) > 0)
    ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  const int first = argc == 3 ? std::atoi(argv[1]) : 0, count = argc == 3 ? std::atoi(argv[2]) : 0;
  if (first < 1 || count < 1 || first + count > 65536) {
    fmt::print(stderr, "usage: check_target FIRST-PORT COUNT\n");
    return 64;
  }
  const peer::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::vector<peer::Fd> open;
  for (int port = first; port < first + count; ++port)
    if (!listen_at(epoll.get(), static_cast<std::uint16_t>(port), open)) {
      fmt::print(stderr, "check_target: port {} is not to be had\n", port);
      return 1;
    }
  fmt::print("listening\n");
  std::fflush(stdout);
  std::array<epoll_event, 256> events{};
  for (;;) {
    const int n = ::epoll_wait(epoll.get(), events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      const std::uint64_t data = events.at(static_cast<std::size_t>(i)).data.u64;
      const int fd = static_cast<int>(data & 0xffffffff);
      if (data & listens)
        take(epoll.get(), fd);
      else
        serve(fd);
    }
  }
}
