// Sysctls, through /proc/sys, in the network namespace of the calling thread.
#pragma once

#include <memory>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/backend.hpp"

namespace lbctl::kernel {

/// observe() reads what scope.sysctls names; what the kernel does not have is left out of the
/// state. Values of several fields are separated by one space, however the kernel separates them.
/// Errors: invalid (a path that leaves /proc/sys, a value that the kernel refuses), unsupported or
/// not_found (no such sysctl: a module, an option or a device is missing), permission.
Result<std::unique_ptr<Backend>> open_sysctl();

}  // namespace lbctl::kernel
