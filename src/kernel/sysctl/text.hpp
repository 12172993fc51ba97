// Paths and values of sysctls. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lbctl/base/result.hpp"

namespace lbctl::kernel::sysctl {

/// True for a relative path with no "." or "..", no empty part and no zero in it: it stays below
/// the directory from which it is opened (/proc/sys has no symbolic links).
bool safe_path(std::string_view path);

/// Fields separated by one space, nothing around them.
std::string normalised(std::string_view value);

/// Why a path is not there, and what mends it.
Error missing(const std::string& path);

}  // namespace lbctl::kernel::sysctl
