// Whose is it? What was read from the kernel, split into lbctl's own and everybody else's.
#pragma once

#include <string>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/engine/ledger.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::engine {

struct Split {
  model::NodeState ours;
  model::NodeState foreign;
};

/// Addresses by their protocol number, nft tables and pinned BPF objects by their name, IPVS
/// services (with all their destinations) and endpoints by the ledger. Sysctls and limits have no
/// owner; they count as ours.
Split split(model::NodeState observed, const Ledger& ledger);

/// Moves the foreign objects that are exactly as wanted to ours; what they are, for the operator.
/// An address that only lacks lbctl's mark counts as equal: the plan marks it.
std::vector<std::string> adopt(const model::NodeState& want, Split& split);

/// One error for each foreign object that stands where the wanted state needs its own.
std::vector<Error> conflicts(const model::NodeState& want, const Split& split);

/// The ledger to be written before `want` is made true.
Ledger claim(const Ledger& ledger, const model::NodeState& want, const model::NodeState& ours);

/// The ledger afterwards: claims on what the kernel does not have are dropped, and so are earlier
/// values that have been restored.
Ledger settle(const Ledger& ledger, const model::NodeState& want, const model::NodeState& ours);

/// What has to be read from the kernel to bring `want` about.
model::Scope scope_of(const model::NodeState& want, const Ledger& ledger);

}  // namespace lbctl::engine
