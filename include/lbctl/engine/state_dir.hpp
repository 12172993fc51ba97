// The directory that holds what lbctl remembers of one network namespace: ledger, drains, lock.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "lbctl/engine/ledger.hpp"
#include "lbctl/engine/store.hpp"

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
  /// `root`/netns-COOKIE, made if missing (0700).
  static Result<StateDir> open(const std::string& root);

  /// Waits up to `patience` for another lbctl; `waiting` is told its pid once, before the wait.
  Result<Lock> lock(std::chrono::milliseconds patience,
                    const std::function<void(const std::string& holder)>& waiting);

  Result<Ledger> read_ledger() const;  ///< an empty one if there is no file
  Result<> write_ledger(const Ledger& ledger);
  /// After `down`: removes the ledger; the directory and the lock stay, as another lbctl may wait.
  Result<> remove_ledger();

  Store& store() { return store_; }
  const std::string& path() const { return store_.path(); }

 private:
  explicit StateDir(Store store) : store_(std::move(store)) {}
  Store store_;
};

/// The namespace's directory as it stands, without making it: for commands that touch nothing.
Result<std::optional<Store>> peek_state(const std::string& root);
/// The ledger in it; an empty one if there is none.
Result<Ledger> peek_ledger(const std::string& root);

}  // namespace lbctl::engine
