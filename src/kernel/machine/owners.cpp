#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/machine.hpp"
#include "text.hpp"

namespace lbctl::kernel {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string out;
  std::getline(file, out);
  return out;
}

std::string whole(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A descriptor of a process that stands for a socket.
struct Held {
  int pid = 0, fd = 0;
};

std::optional<int> number_of(const fs::path& path) {
  const std::string name = path.filename().string();
  int out = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), out);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size()) return std::nullopt;
  return out;
}

/// Processes come and go while this looks: what vanishes is passed over.
void look_at(int pid, std::map<std::uint32_t, std::optional<Held>>& wanted) {
  std::error_code error;
  fs::directory_iterator it(fs::path("/proc") / std::to_string(pid) / "fd", error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    std::error_code gone;
    const auto inode = machine::socket_inode(fs::read_symlink(it->path(), gone).string());
    const auto fd = number_of(it->path());
    if (gone || !inode || !fd) continue;
    const auto found = wanted.find(*inode);
    if (found != wanted.end() && !found->second) found->second = Held{pid, *fd};
  }
}

std::optional<bool> option_of(const Fd& socket, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(socket.get(), level, option, &value, &length) != 0) return std::nullopt;
  return value != 0;
}

/// By syscall(2): <sys/pidfd.h> of glibc 2.36 (Debian 12) cannot be used from C++.
std::optional<bool> learns_destination(const Held& held, const model::Listener& listener) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, held.pid, 0)));
  if (!process) return std::nullopt;
  const Fd socket(static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), held.fd, 0)));
  if (!socket) return std::nullopt;
  const auto v4 = option_of(socket, IPPROTO_IP, IP_PKTINFO);
  const auto original = option_of(socket, IPPROTO_IP, IP_RECVORIGDSTADDR);
  const bool of_v4 = v4.value_or(false) || original.value_or(false);
  if (listener.address.is_v4()) return v4 || original ? std::optional(of_v4) : std::nullopt;
  const auto v6 = option_of(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO);
  return v6 ? std::optional(*v6 || of_v4) : std::nullopt;
}

}  // namespace

void find_owners(std::span<model::OpenSocket> sockets) {
  std::map<std::uint32_t, std::optional<Held>> wanted;
  for (const model::OpenSocket& socket : sockets)
    wanted.emplace(socket.inode, std::nullopt);
  if (wanted.empty()) return;
  std::error_code error;
  fs::directory_iterator it("/proc", error);
  for (; !error && it != fs::directory_iterator(); it.increment(error))
    if (const auto pid = number_of(it->path())) look_at(*pid, wanted);
  for (model::OpenSocket& socket : sockets) {
    const auto& held = wanted.at(socket.inode);
    if (!held) continue;
    const fs::path process = fs::path("/proc") / std::to_string(held->pid);
    socket.owner = {held->pid, first_line(process / "comm"),
                    machine::unit_of(whole(process / "cgroup"))};
    if (socket.protocol == model::L4::udp)
      socket.learns_destination = learns_destination(*held, socket.listener);
  }
}

}  // namespace lbctl::kernel
