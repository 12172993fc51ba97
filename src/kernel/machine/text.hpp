// What files of /proc say. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace lbctl::kernel::machine {

/// The systemd unit in /proc/PID/cgroup, such as "nginx.service"; empty: none. Scopes (sessions,
/// containers) are no units that could be told to start otherwise.
std::string unit_of(std::string_view cgroup);

/// "socket:[4711]", as links in /proc/PID/fd read.
std::optional<std::uint32_t> socket_inode(std::string_view link);

/// CapEff of /proc/PID/status.
std::uint64_t capabilities(std::string_view status);

/// The names in modules.dep and modules.builtin: "kernel/net/netfilter/ipvs/ip_vs_mh.ko.xz: …".
void add_module_files(std::string_view text, std::set<std::string>& modules);
/// The names in /proc/modules.
void add_loaded_modules(std::string_view text, std::set<std::string>& modules);

}  // namespace lbctl::kernel::machine
