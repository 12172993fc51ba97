// What the daemon knows of the servers' health, where other commands find it: they must not bring
// back what it took out. It counts only as long as that daemon lives.
#pragma once

#include <string>
#include <string_view>

#include "lbctl/base/result.hpp"
#include "lbctl/engine/state_dir.hpp"
#include "lbctl/model/health.hpp"

namespace lbctl::engine {

std::string to_text(const model::Health& health);  ///< JSON with "schema_version": 1
Result<model::Health> parse_health(std::string_view text);

/// The daemon's side.
class HealthPost {
 public:
  /// Takes the place of the one daemon of this network namespace; Errc::busy if there is one.
  /// Under the lock of the state directory: an apply that goes on has not yet said what it made.
  static Result<HealthPost> open(StateDir& state);

  /// What the daemon before this one left; empty if there was none.
  const model::Health& left() const { return left_; }
  Result<> write(const model::Health& health);

 private:
  HealthPost(Store& store, Fd lock, model::Health left)
      : store_(&store), lock_(std::move(lock)), left_(std::move(left)) {}
  Store* store_;
  Fd lock_;
  model::Health left_;
};

/// Everybody else's: empty without a living daemon.
Result<model::Health> read_health(const std::string& state_root);
/// After the node was made to match the file, under the lock of the state directory: what a daemon
/// left that lives no more is not true any more. Nothing happens beside a living one.
Result<> forget_health(StateDir& state);

}  // namespace lbctl::engine
