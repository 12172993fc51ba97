// The rules of leaving: what does, what still must stay, and the state that has it in.
#pragma once

#include "lbctl/plan/plan.hpp"

namespace lbctl::plan {

/// Everything of `have` that `want` lacks and that goes slowly. A deadline that was recorded
/// stands.
model::Leaving what_leaves(const Request& request);

/// The part that connections still use and whose time is not over.
model::Leaving still_used(const model::Leaving& leaving, const Request& request);

/// `want` with the leaving ones still in it, and with all that they stand on: destinations at
/// weight 0, their services, VIPs, signal addresses, endpoints, sysctls.
model::NodeState keep(model::NodeState want, const model::NodeState& have, const Before& before,
                      const model::Leaving& leaving);

/// Peers are told to prefer other subflows to those of endpoints that leave and still have some:
/// deleting an endpoint resets its subflows, the flag moves the data first.
void back_up_endpoints(model::MptcpState& state, const model::MptcpState& want,
                       const model::Leaving& stays);

/// Why a destination goes.
inline model::Reason reason_of(const model::Drain& drain, model::Reason otherwise) {
  if (drain.asked) return model::Reason::drain_asked;
  return drain.unhealthy ? model::Reason::unhealthy : otherwise;
}

}  // namespace lbctl::plan
