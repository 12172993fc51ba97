// The one seam between lbctl and the kernel: observe and execute, one backend per subsystem.
// Real ones live in src/kernel/<subsystem>, fakes in tests/fakes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/model/operation.hpp"

namespace lbctl::kernel {

/// How far a run of operations got. Operations [0, done) took effect; without an error that is
/// all of them. `notes` are things the operator should know although nothing failed.
struct Outcome {
  std::size_t done = 0;
  std::optional<Error> error;
  std::vector<std::string> notes;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// The subsystem whose actions execute() takes.
  virtual model::Subsystem subsystem() const = 0;

  /// Reads this subsystem's part of the kernel into `out`; changes nothing. Reads only what
  /// `scope` names; must not load kernel modules for what is out of scope.
  virtual Result<> observe(const model::Scope& scope, model::Observed& out) = 0;

  /// Carries out operations of this subsystem, in order; stops at the first that fails.
  /// The error names the object and carries the kernel's own words, the errno and a hint.
  /// Backends batch where the kernel can (nft: the whole run is one transaction).
  virtual Outcome execute(std::span<const model::Operation> run) = 0;
};

}  // namespace lbctl::kernel
