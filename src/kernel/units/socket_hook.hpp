// The BPF program that makes the TCP sockets of some cgroups MPTCP sockets (xdp/mptcpize.bpf.c),
// and the cgroups that it knows. Both are pinned, once on a machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lbctl/base/result.hpp"

namespace lbctl::kernel::units {

/// Loads the program and lets go of it: whether the kernel takes it is known then.
Result<> try_program();

/// Enters the cgroup, and takes earlier ones of the unit out. Loads and attaches the program if
/// that is not done; two that do so at once end with one program.
Result<> enter(const std::string& pin_dir, const std::string& unit, std::uint64_t cgroup);

/// Takes the cgroups of the unit out. No error where nothing is pinned.
Result<> leave(const std::string& pin_dir, const std::string& unit);

/// Detaches the program and removes the pins, with the folder.
Result<> unload(const std::string& pin_dir);

/// The cgroup of this process or, for one that systemd runs for a unit that manages its cgroup
/// itself (Delegate=), the unit's above it: its id. Errors: unsupported (no cgroup2).
Result<std::uint64_t> own_unit_cgroup();

/// The path in the unified hierarchy that /proc/self/cgroup gives, without the ".control" that
/// systemd puts beside a unit's own cgroups; empty if there is none. Pure.
std::string unit_cgroup(std::string_view proc_cgroup);
/// Where the unified hierarchy is mounted by /proc/self/mountinfo; empty: nowhere. Pure.
std::string cgroup2_mount(std::string_view mountinfo);

}  // namespace lbctl::kernel::units
