// What was counted, figure by figure.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "lbctl/model/nft.hpp"

namespace lbctl::cli {

/// Each figure with its name in JSON.
inline std::vector<std::pair<const char*, std::uint64_t>> figures(const model::SignalCounters& c) {
  return {{"not_joins", c.not_joins},
          {"not_mptcp", c.not_mptcp},
          {"over_rate", c.over_rate},
          {"fragments", c.fragments}};
}

}  // namespace lbctl::cli
