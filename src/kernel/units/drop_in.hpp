// The text of a drop-in: what lbctl writes, and how it knows its own again. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lbctl/model/units.hpp"

namespace lbctl::kernel::units {

inline constexpr const char* drop_in_name = "zz-lbctl-mptcpize.conf";

/// `preload`: what LD_PRELOAD held without lbctl, with specifiers as they stand in unit files.
std::string preload_text(const std::string& unit, model::AskedBy asked_by,
                         const std::string& preload, const std::string& library);
/// `program`: the path of lbctl, which at each start enters the new cgroup. The unit also starts
/// when that fails, with TCP.
std::string bpf_text(const std::string& unit, model::AskedBy asked_by, const std::string& program);

/// By its first line; nothing: somebody else's. Not whether the rest of it is as it should be.
std::optional<model::MptcpizedUnit> parse_mark(std::string_view text);

}  // namespace lbctl::kernel::units
