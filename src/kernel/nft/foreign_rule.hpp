// What a rule of somebody else does, as far as it matters to flows of which a node sees one half.
// Pure.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "lbctl/model/diagnosis.hpp"
#include "nftnl.hpp"

namespace lbctl::kernel::nft {

/// A set or map of the rule's table in which conntrack's state is looked up: the rule does what is
/// said if the state "invalid" is in it; of a map, if it leads to a drop.
struct StateLookup {
  std::string set;
  bool map = false;
};

struct ForeignRule {
  std::string table, chain;
  std::uint32_t family = 0;  ///< NFPROTO_*
  std::uint64_t handle = 0;
  std::optional<model::FilterRule::Kind> drops;
  std::optional<StateLookup> if_in;  ///< `drops` holds if this does
  std::set<std::string> jumps;       ///< chains of the same table
};

ForeignRule read_rule(const nftnl_rule& rule);

/// Whether the state "invalid" is an element; of a map, one that drops.
bool holds_invalid(const nftnl_set& elements, bool map);

}  // namespace lbctl::kernel::nft
