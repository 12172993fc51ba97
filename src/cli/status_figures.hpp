// What was counted, figure by figure.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lbctl/kernel/xdp.hpp"
#include "lbctl/model/nft.hpp"

namespace lbctl::cli {

/// Each figure with its name in JSON.
inline std::vector<std::pair<const char*, std::uint64_t>> figures(const model::SignalCounters& c) {
  return {{"not_joins", c.not_joins},
          {"not_mptcp", c.not_mptcp},
          {"over_rate", c.over_rate},
          {"fragments", c.fragments}};
}

/// Each figure with its name in JSON.
inline std::vector<std::pair<const char*, std::uint64_t>> figures(const kernel::XdpCounters& c) {
  return {{"steered", c.steered},         {"local", c.local},
          {"from_peer", c.from_peer},     {"other_station", c.other_station},
          {"too_short", c.too_short},     {"unroutable", c.unroutable},
          {"long_header", c.long_header}, {"unknown_id", c.unknown_id},
          {"unresolved", c.unresolved},   {"ttl_expired", c.ttl_expired}};
}

}  // namespace lbctl::cli
