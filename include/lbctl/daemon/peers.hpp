// What other nodes of the cluster run by, as their daemons' metrics tell.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "lbctl/model/diagnosis.hpp"

namespace lbctl::daemon {

/// Asks all nodes at once, each at its places one after the other until one answers, and all of it
/// within `patience`. Who does not answer, or not as a daemon does, is not in the result.
std::map<std::string, model::Peer> ask_peers(
    const std::map<std::string, std::vector<model::MetricsPlace>>& nodes,
    std::chrono::milliseconds patience);

}  // namespace lbctl::daemon
