// How many TCP connections use a local address (NETLINK_SOCK_DIAG, include/uapi/linux/inet_diag.h).
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "lbctl/base/result.hpp"
#include "lbctl/model/address.hpp"

namespace lbctl::kernel::rtnl {

/// Connections of any state but TIME_WAIT, MPTCP's subflows among them; addresses without any are
/// left out. Where the kernel cannot list sockets (no CONFIG_INET_TCP_DIAG) every address is in,
/// with 0: it may be in use.
Result<std::map<model::IpAddress, std::uint32_t>> count_tcp_sockets(
    const std::set<model::IpAddress>& addresses);

}  // namespace lbctl::kernel::rtnl
