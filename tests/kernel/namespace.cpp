#include "namespace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>

namespace lbctl::tests {
namespace {

Fd current() {
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "open own namespace");
  return fd;
}

void enter(const Fd& fd) {
  if (::setns(fd.get(), CLONE_NEWNET) != 0)
    throw std::system_error(errno, std::generic_category(), "setns");
}

std::pair<int, std::string> shell(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::system_error(errno, std::generic_category(), "popen");
  std::string out;
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe))
    out.append(piece.data(), got);
  return {::pclose(pipe), out};
}

}  // namespace

Namespace::Namespace() {
  const Fd back = current();
  if (::unshare(CLONE_NEWNET) != 0)
    throw std::system_error(errno, std::generic_category(), "unshare");
  fd_ = current();
  run("ip link set lo up");
  lbctl::tests::enter(back);
}

void Namespace::enter() const {
  lbctl::tests::enter(fd_);
}

std::string Namespace::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get());
}

Inside::Inside(const Namespace& there) : back_(current()) {
  there.enter();
}

Inside::~Inside() {
  ::setns(back_.get(), CLONE_NEWNET);
}

std::string run(const std::string& command) {
  auto [status, out] = shell(command);
  if (status != 0) throw std::runtime_error(fmt::format("{}: {}", command, out));
  return out;
}

std::string try_run(const std::string& command) {
  return shell(command).second;
}

}  // namespace lbctl::tests
