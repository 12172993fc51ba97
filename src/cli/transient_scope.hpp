// A process of its own for systemd, so that the end of a login session does not take it along.
#pragma once

#include <sys/types.h>

#include <string>

#include "lbctl/base/result.hpp"

namespace lbctl::cli {

/// Moves the process into the transient unit `name` (org.freedesktop.systemd1, StartTransientUnit
/// of a scope). Nothing is done where systemd is not the service manager (sd_booted(3)).
Result<> move_to_scope(pid_t process, const std::string& name, const std::string& description);

}  // namespace lbctl::cli
