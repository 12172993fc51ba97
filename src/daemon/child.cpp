#include "child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>

namespace lbctl::daemon {
namespace {

/// Between fork and exec: only what signal-safety(7) allows, and nothing that allocates.
struct Start {
  const char* path;
  char* const* words;
  char* const* environment;
  const User* user;
  int report;  ///< a pipe for the errno of what failed; closed by exec
};

[[noreturn]] void give_up(int report) {
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(report, &error, sizeof error);
  ::_exit(127);
}

void signals_as_at_boot() {
  struct sigaction usual{};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number <= SIGRTMAX; ++number)
    ::sigaction(number, &usual, nullptr);  // SIGKILL and the like refuse: they are as they are
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool become(const User& user) {
  if (user.uid == ::geteuid() && user.uid != 0) return true;  // the daemon's own
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
         ::setresgid(user.gid, user.gid, user.gid) == 0 &&
         ::setresuid(user.uid, user.uid, user.uid) == 0;
}

[[noreturn]] void run(const Start& start) {
  signals_as_at_boot();
  ::umask(022);
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing < 0 || ::setsid() < 0 || ::chdir("/") != 0) give_up(start.report);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(nothing, fd) < 0) give_up(start.report);
  if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0 || !become(*start.user) ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    give_up(start.report);
  ::execve(start.path, start.words, start.environment);
  give_up(start.report);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  // execve(2) takes them as not const and leaves them alone.
  for (const std::string& text : texts)
    out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// Forks with all signals blocked: the child must not run the daemon's handlers.
pid_t fork_into(const Start& start) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) run(start);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

/// Debian 12's <sys/pidfd.h> declares it for C only.
int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

Result<> trusted(const std::string& path, bool folder) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return fail_errno(path);
  if (!folder && !S_ISREG(found.st_mode))
    return fail(Errc::permission, fmt::format("{} is no file", path));
  if (found.st_uid != 0 && found.st_uid != ::geteuid())
    return fail(Errc::permission, fmt::format("{} belongs to somebody else than root", path));
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Errc::permission, fmt::format("{} can be written by others than root", path));
  return {};
}

}  // namespace

Result<User> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer{};
  const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (error != 0) return fail_errno("look for user " + name, error);
  if (!found) return fail(Errc::not_found, fmt::format("there is no user \"{}\"", name));
  User out{entry.pw_uid, entry.pw_gid, std::vector<gid_t>(64)};
  int count = static_cast<int>(out.groups.size());
  if (::getgrouplist(name.c_str(), out.gid, out.groups.data(), &count) < 0) {
    out.groups.resize(static_cast<std::size_t>(count));
    ::getgrouplist(name.c_str(), out.gid, out.groups.data(), &count);
  }
  out.groups.resize(static_cast<std::size_t>(count));
  return out;
}

Result<std::string> trusted_program(const std::string& path) {
  const CHandle<char, &::free> real(::realpath(path.c_str(), nullptr));
  if (!real) return fail_errno(path);
  std::string out = real.get();
  if (auto fine = trusted(out, false); !fine) return fail(std::move(fine.error()));
  for (std::size_t end = out.rfind('/'); end != std::string::npos;
       end = end == 0 ? std::string::npos : out.rfind('/', end - 1))
    if (auto fine = trusted(end == 0 ? "/" : out.substr(0, end), true); !fine)
      return fail(std::move(fine.error()));
  return out;
}

Result<Child> Child::start(const std::vector<std::string>& words,
                           const std::vector<std::string>& environment, const User& user) {
  const auto path = trusted_program(words.front());
  if (!path) return fail(path.error());
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail_errno("pipe");
  Fd reader(pipe[0]), writer(pipe[1]);
  const auto argv = pointers(words), envp = pointers(environment);
  const pid_t pid = fork_into({path->c_str(), argv.data(), envp.data(), &user, writer.get()});
  if (pid < 0) return fail_errno("fork");
  writer.reset();
  // Short: until the child has begun the program or could not.
  int error = 0;
  ssize_t got = 0;
  do
    got = ::read(reader.get(), &error, sizeof error);
  while (got < 0 && errno == EINTR);
  Fd pidfd(got == 0 ? open_pidfd(pid) : -1);
  if (got == 0 && pidfd) return Child(pid, std::move(pidfd));
  if (got == 0) error = errno;  // it runs, but its end could not be waited for
  ::kill(-pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return fail_errno("run " + words.front(), error);
}

Child::~Child() {
  if (!pidfd_) return;
  kill();
  // Not waited for: what the daemon leaves behind at its end is init's.
  ::waitpid(pid_, nullptr, WNOHANG);
}

void Child::kill() {
  // Not reaped yet, so the number is still its own.
  ::kill(-pid_, SIGKILL);
}

std::string Child::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pidfd_.reset();
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace lbctl::daemon
