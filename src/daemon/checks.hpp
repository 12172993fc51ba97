// From the file to the questions that are asked. Pure.
#pragma once

#include <map>

#include "lbctl/config/config.hpp"
#include "lbctl/health/board.hpp"
#include "probe.hpp"

namespace lbctl::daemon {

struct Questions {
  health::Plan plan;
  std::map<health::CheckId, ProbeSpec> probes;
};

/// What this director asks.
Questions questions_of(const config::Config& config, const config::Director& director);

}  // namespace lbctl::daemon
