#include "lbctl/engine/state_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#ifndef SO_NETNS_COOKIE  // <asm-generic/socket.h>, Linux 5.14
#define SO_NETNS_COOKIE 71
#endif

namespace lbctl::engine {

namespace {

constexpr const char* ledger_name = "ledger.json";
constexpr const char* lock_name = "lock";

Result<Ledger> read_ledger_in(const Store& store) {
  const auto text = store.read(ledger_name);
  if (!text) return fail(text.error());
  if (!*text) return Ledger{};
  auto ledger = parse_ledger(**text);
  if (!ledger)
    return fail(std::move(ledger.error())
                    .during(store.path() + "/" + ledger_name)
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
  const auto top = Store::open(root, 0755);
  if (!top) return fail(top.error());
  auto store = top->open_inside(*netns, 0700);
  if (!store) return fail(std::move(store.error()));
  return StateDir(std::move(*store));
}

Result<Lock> StateDir::lock(std::chrono::milliseconds patience,
                            const std::function<void(const std::string&)>& waiting) {
  const std::string path = store_.path() + "/" + lock_name;
  Fd fd(::openat(store_.fd(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
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
  const std::string own = fmt::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::write(fd.get(), own.data(), own.size()) != static_cast<ssize_t>(own.size()))
    return fail_errno("write " + path);
  return Lock(std::move(fd));
}

Result<Ledger> StateDir::read_ledger() const {
  return read_ledger_in(store_);
}

Result<> StateDir::write_ledger(const Ledger& ledger) {
  return store_.write(ledger_name, to_text(ledger));
}

Result<> StateDir::remove_ledger() {
  return store_.remove(ledger_name);
}

Result<std::optional<Store>> peek_state(const std::string& root) {
  auto netns = netns_name();
  if (!netns) return fail(std::move(netns.error()));
  return Store::open_existing(root + "/" + *netns);
}

Result<Ledger> peek_ledger(const std::string& root) {
  const auto store = peek_state(root);
  if (!store) return fail(store.error());
  return *store ? read_ledger_in(**store) : Ledger{};
}

}  // namespace lbctl::engine
