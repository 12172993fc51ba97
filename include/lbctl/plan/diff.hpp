// What has to change so that the kernel matches: one pure function from two states to operations.
#pragma once

#include <optional>
#include <vector>

#include "lbctl/model/operation.hpp"

namespace lbctl::plan {

/// Settings of the whole namespace that lbctl changed, as it found them: what is no longer wanted
/// goes back to these values.
struct Before {
  model::SysctlState sysctls;
  std::optional<model::MptcpLimits> limits;
  model::IpvsTimeouts timeouts = {};  ///< 0 for those that lbctl did not change
};

/// The operations that turn `have` (what is in the kernel and lbctl's) into `want`, in the order
/// in which they are to be done: by phase, within a phase in the order of the keys. Empty exactly
/// when the kernel matches, so verification is: read again, diff again, nothing.
/// `removal` is the reason written on removals.
std::vector<model::Operation> diff(const model::NodeState& want, const model::NodeState& have,
                                   const Before& before = {},
                                   model::Reason removal = model::Reason::not_in_file);

}  // namespace lbctl::plan
