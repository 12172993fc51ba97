// Runs something without capabilities.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace lbctl::tests {

/// True if `check` returns true in a child process of user nobody.
template <class F>
bool as_nobody(const F& check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::setuid(65534) == 0 && check() ? EXIT_SUCCESS : EXIT_FAILURE);
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace lbctl::tests
