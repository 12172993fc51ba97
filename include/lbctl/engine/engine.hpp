// Makes the kernel match: observe, plan, execute, observe again; the difference must be empty.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/engine/ownership.hpp"
#include "lbctl/engine/state_dir.hpp"
#include "lbctl/kernel/backend.hpp"
#include "lbctl/plan/plan.hpp"

namespace lbctl::engine {

/// What is, and what would be done. Nothing has been touched.
struct Preview {
  Split split;               ///< the state that was read
  model::Observed observed;  ///< the live figures; the state is in `split`
  plan::Plan plan;
  std::vector<std::string> adopted;  ///< foreign objects that become lbctl's, as Goal asks
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
  std::vector<std::string> adopted;
  /// After a failure among the additions: what was taken back, so that the node is as before.
  std::vector<model::Operation> reverted;
  std::optional<Error> revert_error;
  /// What is still on its way out, and its connections when last counted.
  model::Leaving stays;
  model::Observed figures;
  bool ok() const { return refusals.empty() && !error && still_differs.empty(); }
};

/// What a run is to bring about: `lbctl apply`, or `lbctl down`, which wants nothing, at once.
struct Goal {
  model::NodeState want;
  model::Reason removal = model::Reason::not_in_file;
  std::optional<model::Patience> patience = model::Patience{};  ///< nothing: no drain
  model::Drains asked = {};                                     ///< `lbctl drain`
  bool adopt = false;  ///< foreign objects that are exactly as wanted become lbctl's
};

/// The goal that nothing of lbctl's is there any more.
Goal nothing_left();

/// The goal that the node is again as `split` and `ledger` say: for what goes wrong and for what
/// is not confirmed. `next` is what was wanted instead.
Goal as_before(const Split& split, const Ledger& ledger, const model::NodeState& next);

class Engine {
 public:
  using Clock = std::function<model::UnixTime()>;
  using Stop = std::function<bool()>;
  static model::UnixTime system_time();

  /// Backends in the order in which they are observed. They outlive the engine.
  explicit Engine(std::vector<kernel::Backend*> backends, Clock clock = system_time)
      : backends_(std::move(backends)), clock_(std::move(clock)) {}

  /// Reads the kernel and plans. For `plan` and `status`.
  Result<Preview> preview(const Goal& goal, const Ledger& ledger);

  /// Carries out a preview's operations under the caller's lock. `stop` is asked between runs of
  /// operations (SIGINT, SIGTERM): the run under way is finished and the rest is left.
  /// An error as a Result means that nothing was changed.
  Result<Report> apply(const Goal& goal, StateDir& state, const Stop& stop);

 private:
  Result<> observe(const model::Scope& scope, model::Observed& out);
  /// operations[done, end), in runs of one subsystem each; stops at the first that fails.
  void execute(Report& report, std::size_t end, const Stop& stop);
  /// Leaves in `plan` the one that was carried out in the end, without its operations.
  void carry_out(const Goal& goal, const Ledger& claimed, plan::Plan& plan, Report& report,
                 const Stop& stop);
  void revert(const Goal& goal, Ledger& claimed, StateDir& state, Report& report);
  void verify(const Goal& goal, const Ledger& claimed, plan::Plan plan, StateDir& state,
              Report& report);
  kernel::Backend* backend_for(model::Subsystem subsystem) const;

  std::vector<kernel::Backend*> backends_;
  Clock clock_;
};

}  // namespace lbctl::engine
