// Makes the kernel match: observe, plan, execute, observe again; the difference must be empty.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/engine/ownership.hpp"
#include "lbctl/engine/state_dir.hpp"
#include "lbctl/kernel/backend.hpp"
#include "lbctl/plan/diff.hpp"

namespace lbctl::engine {

/// What is, and what would be done. Nothing has been touched.
struct Preview {
  model::Observed observed;
  Split split;
  std::vector<model::Operation> operations;
  /// Why it would not be done: foreign objects in the way, settings that this kernel lacks.
  std::vector<Error> refusals;
};

/// What was done.
struct Report {
  std::vector<model::Operation> operations;
  std::size_t done = 0;         ///< operations[0, done) took effect
  std::vector<Error> refusals;  ///< as in Preview: then nothing was touched
  std::optional<Error> error;
  std::vector<std::string> notes;
  /// What still differs when the kernel is read again after every operation succeeded: somebody
  /// else writes too, or the kernel took a value for another.
  std::vector<model::Operation> still_differs;
  bool ok() const { return refusals.empty() && !error && still_differs.empty(); }
};

/// Two meanings of "want this": `lbctl apply`, and `lbctl down`, which wants nothing.
struct Goal {
  model::NodeState want;
  model::Reason removal = model::Reason::not_in_file;
};

class Engine {
 public:
  /// Backends in the order in which they are observed. They outlive the engine.
  explicit Engine(std::vector<kernel::Backend*> backends) : backends_(std::move(backends)) {}

  /// Reads the kernel and plans. For `plan` and `status`.
  Result<Preview> preview(const Goal& goal, const Ledger& ledger);

  /// Carries out a preview's operations under the caller's lock. `stop` is asked between runs of
  /// operations (SIGINT, SIGTERM): the run under way is finished and the rest is left.
  /// An error as a Result means that nothing was changed.
  Result<Report> apply(const Goal& goal, StateDir& state, const std::function<bool()>& stop);

 private:
  Result<model::Observed> observe(const model::Scope& scope);
  void execute(Report& report, const std::function<bool()>& stop);
  kernel::Backend* backend_for(model::Subsystem subsystem) const;

  std::vector<kernel::Backend*> backends_;
};

}  // namespace lbctl::engine
