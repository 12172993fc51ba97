// How a run of operations is cut into batches, and what the kernel's answers to one batch mean.
// Pure.
#pragma once

#include <span>

#include "lbctl/kernel/backend.hpp"
#include "netlink/genl.hpp"

namespace lbctl::kernel::ipvs {

/// How many operations from the start of `run` may travel in one batch: none that takes capacity
/// away travels with one that is there to replace it.
std::size_t batch_length(std::span<const model::Operation> run);

/// Enters one batch into `out`: `failures` as Socket::transact() gives them, by index.
void settle(std::span<const model::Operation> batch, std::span<const genl::Failure> failures,
            Outcome& out);

/// "add destination 192.0.2.11:443 to tcp 192.0.2.100:443"
std::string describe(const model::Action& action);

/// The refusal of one operation, with what mends it where that is known.
Error explain(const model::Action& action, const genl::Verdict& verdict);

/// The refusal of IPVS as a whole: no such family, no capability.
Error explain_family(Error error);

}  // namespace lbctl::kernel::ipvs
