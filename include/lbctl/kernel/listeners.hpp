// Sockets that wait for what clients send (NETLINK_SOCK_DIAG, include/uapi/linux/inet_diag.h).
#pragma once

#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/model/diagnosis.hpp"

namespace lbctl::kernel {

/// Listening TCP sockets, or unconnected UDP sockets, of that port in the caller's network
/// namespace, on whatever address. Needs CONFIG_INET_TCP_DIAG or CONFIG_INET_UDP_DIAG
/// (Errc::unsupported).
Result<std::vector<model::Listener>> read_listeners(model::L4 protocol, model::Port port);

/// The same of every port; whose they are is not filled in (machine.hpp does). The inode of an
/// MPTCP listener is that of the socket which the application has, although another one listens for
/// it.
Result<std::vector<model::OpenSocket>> read_sockets(model::L4 protocol);

}  // namespace lbctl::kernel
