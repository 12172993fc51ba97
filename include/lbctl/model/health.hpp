// What is known of the servers' health when a node's state is worked out. Comes from the daemon;
// without one it is empty, and everything is as the file has it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "lbctl/model/ipvs.hpp"

namespace lbctl::model {

/// One server in one service.
struct ServerHealth {
  bool up = true;
  /// Of one that comes back slowly: no more than this of the file's weight.
  Weight most{65535};
  /// Of the file's weight, at most 100: what the server's agent wants. 0: no new connections.
  std::uint8_t percent = 100;
  friend bool operator==(const ServerHealth&, const ServerHealth&) = default;
};

struct ServiceHealth {
  std::map<std::string, ServerHealth> servers;  ///< by name; those left out are as in the file
  bool sorry = false;                           ///< the sorry server stands in for all of them
  friend bool operator==(const ServiceHealth&, const ServiceHealth&) = default;
};

/// By the service's name; those left out are as in the file.
using Health = std::map<std::string, ServiceHealth>;

/// What of the file's weight a server gets: a part of it is at least 1.
inline Weight limited(Weight weight, const ServerHealth& health) {
  const std::uint32_t most = number(std::min(weight, health.most));
  if (most == 0 || health.percent == 0) return Weight{0};
  return Weight{static_cast<std::uint16_t>(std::max(most * health.percent / 100, 1U))};
}

}  // namespace lbctl::model
