// What the programs that the file names are told, by their environment. Pure.
#pragma once

#include <string>
#include <vector>

#include "probe.hpp"

namespace lbctl::daemon {

std::vector<std::string> environment_of(const ProbeSpec& spec);
/// Of a quorum's command.
std::vector<std::string> environment_of(const std::string& service, bool quorum);

}  // namespace lbctl::daemon
