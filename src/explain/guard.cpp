#include <fmt/format.h>

#include "lbctl/explain/flow.hpp"

namespace lbctl::explain {

namespace {

bool join_only(const model::SignalForward& forward, const model::Flow& flow) {
  for (const model::Port port : {model::Port{}, flow.port}) {
    const auto found = forward.addresses.find({flow.address, port});
    if (found != forward.addresses.end() && found->second.join_only) return true;
  }
  return false;
}

}  // namespace

std::vector<Step> guard_steps(const model::Flow& flow, const model::NodeState& state) {
  std::vector<Step> out;
  if (!state.nft.forward || flow.protocol != model::L4::tcp) return out;
  const model::SignalForward& forward = *state.nft.forward;
  if (!state.nft.intact)
    out.push_back({"guard",
                   "the table netdev lbctl is not as lbctl made it: what follows may not "
                   "hold (lbctl apply mends it)"});
  if (join_only(forward, flow))
    out.push_back(
        {"guard", "a SYN passes only with MP_JOIN (join_only): no connection begins here"});
  if (forward.mptcp_only.contains({flow.address, flow.port}))
    out.push_back({"guard", "a SYN without MPTCP is dropped (mptcp_only)"});
  for (const auto& [name, limit] : forward.limits) {
    if (!limit.to.contains({flow.address, flow.port})) continue;
    const bool alone = limit.prefix == flow.client.full_prefix();
    out.push_back(
        {"guard",
         fmt::format("SYNs above {} are dropped, counted for each {} ({})", limit.rate.text(),
                     alone ? std::string("client") : fmt::format("/{} of clients", limit.prefix),
                     name)});
  }
  return out;
}

}  // namespace lbctl::explain
