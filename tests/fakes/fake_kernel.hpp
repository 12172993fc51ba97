// A kernel in memory behind the backend interface: it holds a NodeState, refuses what the real
// one refuses, and can fail at any operation.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/kernel/backend.hpp"

namespace lbctl::fakes {

class FakeKernel {
 public:
  model::NodeState state;
  std::size_t executed = 0;            ///< operations carried out so far
  std::optional<std::size_t> fail_at;  ///< the operation with this number fails, once

  FakeKernel();
  /// One backend per subsystem; they point into this object.
  std::vector<kernel::Backend*> backends();

  /// Changes the state as the kernel would, with its errno for what it refuses.
  Result<> perform(const model::Action& action);

 private:
  std::vector<std::unique_ptr<kernel::Backend>> backends_;
};

}  // namespace lbctl::fakes
