// One node over the fake kernel, from one random file to another and back to nothing, with failures
// and live connections on the way. Each step checks what must hold then.
#pragma once

#include <string>

#include "../unit/engine/temp_dir.hpp"
#include "cluster.hpp"
#include "fake_kernel.hpp"
#include "lbctl/config/config.hpp"
#include "lbctl/engine/engine.hpp"

namespace lbctl::random {

/// What happened on all walks, so that a test can tell that it tried what it meant to.
struct Tally {
  std::size_t walks = 0, operations = 0, failures = 0, reverted = 0;
  std::size_t connections = 0;  ///< destinations and local addresses that were in use
  std::size_t begun = 0;        ///< in use only after the engine had counted
  std::size_t stayed = 0;       ///< destinations and addresses that were kept for their users
  std::size_t cut = 0;          ///< by their deadline
};

class Walk {
 public:
  Walk(const std::string& node, const config::Config* first, const config::Config* second,
       std::uint64_t seed, Tally& tally);
  /// From nothing to the first file, to the second, and down. A node that a file does not have
  /// leaves that step out.
  void go();

 private:
  engine::Report apply(const engine::Goal& goal);
  /// apply(), in a share of the walks with a failure before it.
  void arrive(const engine::Goal& goal);
  void fail_once(const engine::Goal& goal, std::size_t at);
  void expect_nothing_to_do(const engine::Goal& goal);
  void start_connections();
  void let_more_begin();
  void expect_no_cut();
  /// Every destination in use is there, with its service, its VIP and the way home of its joins.
  void expect_used_stand(const engine::Goal& goal, const model::NodeState& earlier);
  void leave(const engine::Goal& goal);
  void finish(const engine::Goal& goal);
  model::NodeState alone(const engine::Goal& goal) const;

  Random random_;
  Tally& tally_;
  TempDir temp_;
  fakes::FakeKernel kernel_;
  model::UnixTime now_{1'000'000};
  engine::Engine engine_;
  Result<engine::StateDir> state_;
  std::optional<engine::Goal> first_, second_;
  bool fails_, has_connections_;
};

}  // namespace lbctl::random
