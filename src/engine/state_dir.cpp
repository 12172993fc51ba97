#include "lbctl/engine/state_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <thread>

#ifndef SO_NETNS_COOKIE  // <asm-generic/socket.h>, Linux 5.14
#define SO_NETNS_COOKIE 71
#endif

namespace lbctl::engine {

namespace {

constexpr const char* ledger_name = "ledger.json";
constexpr const char* ledger_new_name = "ledger.json.new";
constexpr const char* lock_name = "lock";

/// Refuses a directory through which somebody else could steer us.
Result<Fd> open_dir(int at, const std::string& name, const std::string& path) {
  Fd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path);
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("stat " + path);
  if (st.st_uid != ::geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Error(Errc::permission,
                      fmt::format("{} must belong to uid {} and be writable by nobody else", path,
                                  ::geteuid()))
                    .with_hint("chown and chmod it, or choose another place with --state-dir"));
  return fd;
}

Result<> make_dir(int at, const std::string& name, mode_t mode, const std::string& path) {
  if (::mkdirat(at, name.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("make " + path);
  return {};
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string out;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write " + path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<Ledger> read_ledger_at(int dir, const std::string& path) {
  const Fd fd(::openat(dir, ledger_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOENT) return Ledger{};
  if (!fd) return fail_errno("open " + path);
  auto text = read_all(fd.get(), path);
  if (!text) return fail(std::move(text.error()));
  auto ledger = parse_ledger(*text);
  if (!ledger)
    return fail(std::move(ledger.error())
                    .during(path)
                    .with_hint("without it lbctl cannot tell its own IPVS services and endpoints "
                               "from others'; remove it only if those are gone"));
  return ledger;
}

}  // namespace

Result<std::string> netns_name() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("socket");
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return fail(Error::from_errno(errno, "read the network namespace's cookie")
                    .with_hint("needs Linux 5.14 or newer"));
  return fmt::format("netns-{}", cookie);
}

Result<StateDir> StateDir::open(const std::string& root) {
  auto netns = netns_name();
  if (!netns) return fail(std::move(netns.error()));
  if (auto made = make_dir(AT_FDCWD, root, 0755, root); !made) return fail(std::move(made.error()));
  auto top = open_dir(AT_FDCWD, root, root);
  if (!top) return fail(std::move(top.error()));
  std::string path = root + "/" + *netns;
  if (auto made = make_dir(top->get(), *netns, 0700, path); !made)
    return fail(std::move(made.error()));
  auto dir = open_dir(top->get(), *netns, path);
  if (!dir) return fail(std::move(dir.error()));
  return StateDir(std::move(*dir), std::move(path));
}

Result<Lock> StateDir::lock(std::chrono::milliseconds patience,
                            const std::function<void(const std::string&)>& waiting) {
  const std::string path = path_ + "/" + lock_name;
  Fd fd(::openat(dir_.get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("open " + path);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool told = false;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return fail_errno("lock " + path);
    std::array<char, 32> pid{};
    const ssize_t n = ::pread(fd.get(), pid.data(), pid.size() - 1, 0);
    const std::string holder(pid.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(Error(Errc::busy, fmt::format("another lbctl (pid {}) is at work in this network "
                                                "namespace and holds {}",
                                                holder, path))
                      .with_hint("wait for it to end, then try again"));
    if (!told) waiting(holder);
    told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (::ftruncate(fd.get(), 0) != 0) return fail_errno("write " + path);
  if (auto written = write_all(fd.get(), fmt::to_string(::getpid()), path); !written)
    return fail(std::move(written.error()));
  return Lock(std::move(fd));
}

Result<Ledger> StateDir::read_ledger() const {
  return read_ledger_at(dir_.get(), path_ + "/" + ledger_name);
}

Result<> StateDir::write_ledger(const Ledger& ledger) {
  const std::string path = path_ + "/" + ledger_new_name;
  if (::unlinkat(dir_.get(), ledger_new_name, 0) != 0 && errno != ENOENT)
    return fail_errno("remove " + path);
  const Fd fd(::openat(dir_.get(), ledger_new_name,
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("make " + path);
  if (auto written = write_all(fd.get(), to_text(ledger), path); !written) return written;
  if (::fsync(fd.get()) != 0) return fail_errno("sync " + path);
  if (::renameat(dir_.get(), ledger_new_name, dir_.get(), ledger_name) != 0)
    return fail_errno("rename " + path);
  if (::fsync(dir_.get()) != 0) return fail_errno("sync " + path_);
  return {};
}

Result<> StateDir::remove_ledger() {
  if (::unlinkat(dir_.get(), ledger_name, 0) != 0 && errno != ENOENT)
    return fail_errno("remove " + path_ + "/" + ledger_name);
  return {};
}

Result<Ledger> peek_ledger(const std::string& root) {
  auto netns = netns_name();
  if (!netns) return fail(std::move(netns.error()));
  const std::string path = root + "/" + *netns;
  const Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir && errno == ENOENT) return Ledger{};
  if (!dir) return fail_errno("open " + path);
  return read_ledger_at(dir.get(), path + "/" + ledger_name);
}

}  // namespace lbctl::engine
