// What Prometheus reads (text format 0.0.4).
#pragma once

#include <string>

#include "keeper.hpp"

namespace lbctl::daemon {

std::string metrics_of(const Keeper& keeper, const std::string& version);

/// Whether the node is as it should be, for /healthz; else why not.
std::string trouble_of(const Keeper& keeper);

}  // namespace lbctl::daemon
