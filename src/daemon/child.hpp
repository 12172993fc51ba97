// Programs that the file names: exec checks and quorum commands. No shell, another user, a clean
// environment, no descriptors, and nothing left behind.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::daemon {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};
/// Asks the system's database of users, which may take its time.
Result<User> find_user(const std::string& name);

/// The program at that absolute path with all links followed. Refused (Errc::permission) when
/// anybody but root and the daemon's own user could put another in its place.
Result<std::string> trusted_program(const std::string& path);

class Child {
 public:
  /// `words`: the program's absolute path and its arguments; `environment`: "NAME=value". Runs in a
  /// process group of its own. An error: it never ran.
  static Result<Child> start(const std::vector<std::string>& words,
                             const std::vector<std::string>& environment, const User& user);
  Child(Child&&) noexcept = default;
  Child& operator=(Child&&) = delete;
  /// One that still runs is killed, with its process group.
  ~Child();

  /// A pidfd: readable when it has ended.
  int fd() const { return pidfd_.get(); }
  void kill();
  /// To be called when it has ended; empty if its exit status is 0, else "exit status 1" or the
  /// like.
  std::string reap();

 private:
  Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  Fd pidfd_;  ///< gone once it is reaped
};

}  // namespace lbctl::daemon
