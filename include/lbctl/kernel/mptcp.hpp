// The MPTCP path manager by generic netlink (net/mptcp/pm_netlink.c).
#pragma once

#include <memory>

#include "lbctl/kernel/backend.hpp"

namespace lbctl::kernel {

/// The path manager of the caller's network namespace; touched only by observe() with scope.mptcp
/// and by execute(). Without MPTCP these fail with Errc::unsupported.
///
/// observe() gives every endpoint, ours and foreign alike, but for implicit ones: the kernel makes
/// those by itself for running connections, and replaces them when their address is added.
/// Endpoint flags that the model does not know are left out.
///
/// execute() sends one operation at a time: there are few, and it stops at exactly the first that
/// fails. An endpoint to remove is looked up by address and port, and removed by the id that it
/// has at that moment, so that a re-used id never removes another's endpoint. Removing what is
/// already gone is done, with a note.
Result<std::unique_ptr<Backend>> open_mptcp();

}  // namespace lbctl::kernel
