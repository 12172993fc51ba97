// Which destination IPVS' hashing schedulers choose, computed as the kernel does
// (net/netfilter/ipvs/ip_vs_mh.c, ip_vs_sh.c and include/linux/siphash.h of Linux 5.3 to 6.12, on
// 64 bits, with the sizes of tables that every distribution has: CONFIG_IP_VS_MH_TAB_INDEX=12,
// CONFIG_IP_VS_SH_TAB_BITS=8).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lbctl/model/flow.hpp"
#include "lbctl/model/ipvs.hpp"

namespace lbctl::explain {

/// A destination as its scheduler sees it, in the order in which the kernel lists them: the tables
/// depend on it.
struct Candidate {
  model::DestinationKey key;
  model::Weight weight{};  ///< 0: takes no new connections
  /// mh: the last weight that was not 0, by which the table was filled; netlink does not tell it.
  model::Weight last_weight{};
};

/// Whether choose() knows the scheduler: "mh" or "sh".
bool is_computable(const model::VirtualService& service);

struct Choice {
  /// Nothing: the scheduler refuses the flow.
  std::optional<model::DestinationKey> destination;
  /// It takes no new connections, and the one above takes its place (mh-fallback, sh-fallback), or
  /// the flow is refused.
  std::optional<model::DestinationKey> first;
};

/// For a new flow of a service with a computable scheduler.
Choice choose(const model::VirtualService& service, std::span<const Candidate> candidates,
              const model::Flow& flow);

}  // namespace lbctl::explain
