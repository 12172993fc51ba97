// The far ends of tunnels on a real server: devices through rtnetlink, ports of foo-over-UDP
// through generic netlink.
#pragma once

#include <memory>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/backend.hpp"

namespace lbctl::kernel {

/// Touches nothing, and loads no module, but by observe() with scope.tunnels and by execute().
/// observe() gives every device of the kinds that the model knows and every port, ours and foreign
/// alike. execute() makes the kernel load what it needs: ipip, ip_gre, ip6_tunnel, ip6_gre, fou;
/// ipip, ip_gre and the like then add fall-back devices of their own (tunl0, gre0), which
/// stay. Removing what is already gone is done, with a note.
/// Errors: unsupported (no such module), conflict (a name or the same ends stand), permission.
Result<std::unique_ptr<Backend>> open_tunnels();

}  // namespace lbctl::kernel
