#include "lbctl/plan/plan.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "leaving.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

/// Why an operation on a destination or its service is there, and whom it concerns.
struct Annotate {
  const Request& request;
  const Leaving& leaving;
  Operation& operation;

  std::uint64_t count(const DestinationId& id) const {
    return connections(request.observed.ipvs_counters, id);
  }
  std::uint64_t count(const ServiceKey& key) const {
    const auto it = request.have.ipvs.find(key);
    if (it == request.have.ipvs.end()) return 0;
    std::uint64_t out = 0;
    for (const auto& [to, destination] : it->second.destinations)
      out += count({key, to});
    return out;
  }
  std::uint64_t count(const IpAddress& address) const {
    const auto it = request.observed.sockets.find(address);
    return it == request.observed.sockets.end() ? 0 : it->second;
  }

  void operator()(const EditService& a) const {
    // The fallback flag alone: it was set, or is taken back, because of a drain.
    VirtualService with = a.from;
    with.flags.sched1 = a.to.flags.sched1;
    const auto leaves = leaving.destinations.lower_bound({a.key, {}});
    if (with.same_settings(a.to) && leaves != leaving.destinations.end() &&
        leaves->first.service == a.key)
      operation.why = Reason::draining;
  }
  void operator()(const EditDestination& a) const {
    if (number(a.to.weight) != 0 || number(a.from.weight) == 0) return;
    operation.connections = count({a.service, a.key});
    if (const auto it = leaving.destinations.find({a.service, a.key});
        it != leaving.destinations.end())
      operation.why = reason_of(it->second, request.removal);
  }
  void operator()(const RemoveDestination& a) const {
    operation.connections = count({a.service, a.key});
    const auto it = leaving.destinations.find({a.service, a.key});
    if (it == leaving.destinations.end()) return;
    operation.why = reason_of(it->second, operation.why);
    if (operation.connections > it->second.until) operation.why = Reason::deadline;
  }
  void operator()(const RemoveService& a) const {
    operation.connections = count(a.key);
    if (operation.connections != 0 && request.patience) operation.why = Reason::deadline;
  }
  void operator()(const RemoveSignal& a) const {
    // Joins to a server that failed are not brought to it.
    const auto failed = [&](const auto& entry) {
      return entry.second.unhealthy && entry.first.key.address == a.from.server;
    };
    if (std::ranges::any_of(leaving.destinations, failed)) operation.why = Reason::unhealthy;
  }
  void operator()(const RemoveAddress& a) const { operation.connections = count(a.key.address); }
  void operator()(const RemoveEndpoint& a) const { operation.connections = count(a.key.address); }
  void operator()(const SetEndpoint& a) const { operation.connections = count(a.key.address); }
  void operator()(const auto&) const {}
};

}  // namespace

Plan make(const Request& request) {
  Plan out;
  out.leaving = what_leaves(request);
  out.stays = still_used(out.leaving, request);
  if (out.leaving.empty()) {
    out.operations = diff(request.want, request.have, request.before, request.removal);
    out.first = out.operations.size();
  } else {
    NodeState first = keep(request.want, request.have, request.before, out.leaving);
    back_up_endpoints(first.mptcp, request.want.mptcp, out.stays);
    out.operations = diff(first, request.have, request.before, request.removal);
    out.first = out.operations.size();
    out.end = keep(request.want, request.have, request.before, out.stays);
    back_up_endpoints(out.end->mptcp, request.want.mptcp, out.stays);
    std::ranges::move(diff(*out.end, first, request.before, request.removal),
                      std::back_inserter(out.operations));
  }
  for (Operation& operation : out.operations)
    std::visit(Annotate{request, out.leaving, operation}, operation.action);
  return out;
}

}  // namespace lbctl::plan
