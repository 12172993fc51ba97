// The whole plan of a node: what changes now, what leaves slowly, and what stands in the end. Pure.
#pragma once

#include <optional>
#include <vector>

#include "lbctl/model/leaving.hpp"
#include "lbctl/plan/diff.hpp"

namespace lbctl::plan {

struct Request {
  const model::NodeState& want;
  const model::NodeState& have;     ///< what is in the kernel and lbctl's
  const model::Observed& observed;  ///< its live figures
  const Before& before;
  model::Reason removal = model::Reason::not_in_file;
  const model::Leaving& recorded;  ///< what was leaving already
  const model::Drains& asked;      ///< `lbctl drain`: not in `want`, and in no hurry but this
  /// Nothing: what leaves goes at once.
  std::optional<model::Patience> patience = model::Patience{};
  model::UnixTime now{};
};

struct Plan {
  std::vector<model::Operation> operations;
  /// operations[0, first) take nothing away that connections may use. After them the connections
  /// are to be counted again: some may have begun since `observed`.
  std::size_t first = 0;
  /// What the kernel should hold afterwards; nothing: exactly what was wanted.
  std::optional<model::NodeState> end;
  model::Leaving leaving;  ///< everything that is on its way out, also what goes in this plan
  model::Leaving stays;    ///< the part of it that is still there in `end`
};

Plan make(const Request& request);

/// What has to be counted besides: local addresses that would go if no connection used them.
std::set<model::IpAddress> addresses_to_count(const model::NodeState& want,
                                              const model::NodeState& have);

/// Live connections of a destination in any state, also those that wait for their end.
std::uint64_t connections(const model::IpvsCounters& counters, const model::DestinationId& id);

}  // namespace lbctl::plan
