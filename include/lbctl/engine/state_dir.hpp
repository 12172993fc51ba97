// The directory that holds lbctl's ledger and lock, one per network namespace.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"
#include "lbctl/engine/ledger.hpp"

namespace lbctl::engine {

inline constexpr const char* default_state_root = "/run/lbctl";

/// The namespace's directory name, "netns-COOKIE". The cookie (SO_NETNS_COOKIE, Linux 5.14) is
/// never used twice until the next boot, unlike the inode of /proc/self/ns/net.
Result<std::string> netns_name();

/// Held as long as the object lives; the kernel lets go of it when the process ends in any way.
class Lock {
 public:
  explicit Lock(Fd fd) : fd_(std::move(fd)) {}

 private:
  Fd fd_;
};

class StateDir {
 public:
  /// `root`/netns-COOKIE, made if missing (0700). Refused when it belongs to somebody else or
  /// others may write to it.
  static Result<StateDir> open(const std::string& root);

  /// Waits up to `patience` for another lbctl; `waiting` is told its pid once, before the wait.
  Result<Lock> lock(std::chrono::milliseconds patience,
                    const std::function<void(const std::string& holder)>& waiting);

  Result<Ledger> read_ledger() const;  ///< an empty one if there is no file
  /// Replaces the file atomically and waits until it is on disk. Nothing is written if equal.
  Result<> write_ledger(const Ledger& ledger);
  /// After `down`: removes the ledger; the directory and the lock stay, as another lbctl may wait.
  Result<> remove_ledger();

  const std::string& path() const { return path_; }

 private:
  StateDir(Fd dir, std::string path) : dir_(std::move(dir)), path_(std::move(path)) {}
  Fd dir_;
  std::string path_;
};

/// The ledger as it stands, without making the directory: for commands that touch nothing.
Result<Ledger> peek_ledger(const std::string& root);

}  // namespace lbctl::engine
