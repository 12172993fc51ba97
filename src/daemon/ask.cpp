// The side that asks a running daemon.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "lbctl/daemon/daemon.hpp"

namespace lbctl::daemon {
namespace {

Result<Fd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Errc::invalid, fmt::format("{} is too long for a socket", path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return fd;
  if (errno == ENOENT || errno == ECONNREFUSED)
    return fail(Error(Errc::not_found, "no lbctl daemon runs in this network namespace")
                    .with_hint("systemctl start lbctl"));
  return fail_errno("connect to " + path);
}

}  // namespace

Result<std::string> control_path(const std::string& state_root) {
  auto netns = engine::netns_name();
  if (!netns) return fail(std::move(netns.error()));
  return state_root + "/" + *netns + ".control";
}

Result<> ask(const std::string& socket, const std::string& request,
             const std::function<bool(const std::string&)>& line) {
  auto fd = connect_to(socket);
  if (!fd) return fail(std::move(fd.error()));
  const std::string all = request + "\n";
  if (::send(fd->get(), all.data(), all.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(all.size()))
    return fail_errno("ask the daemon");
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::recv(fd->get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("hear the daemon");
    if (got == 0)
      return fail(Error(Errc::permission, "the daemon hung up")
                      .with_hint("only root and [daemon] group may ask it"));
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      if (!line(text.substr(0, end))) return {};
      text.erase(0, end + 1);
    }
  }
}

}  // namespace lbctl::daemon
