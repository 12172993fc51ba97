// What lbctl asks of systemd, by D-Bus (org.freedesktop.systemd1(5)). Nothing of this works where
// it is not the service manager (sd_booted(3)).
#pragma once

#include <sys/types.h>

#include <string>

#include "lbctl/base/result.hpp"

namespace lbctl::kernel {

bool systemd_runs();

/// A process of its own for systemd, so that the end of a login session does not take it along:
/// moves it into the transient unit `name`. Nothing is done without systemd.
Result<> move_to_scope(pid_t process, const std::string& name, const std::string& description);

/// `systemctl daemon-reload`.
Result<> reload_units();
/// Whether processes of the unit run, or are about to.
Result<bool> unit_runs(const std::string& unit);
/// `systemctl restart`: back when that is done. An error if the unit does not run then.
Result<> restart_unit(const std::string& unit);

}  // namespace lbctl::kernel
