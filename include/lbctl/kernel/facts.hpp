// What the node is, read and not set by lbctl: its devices, addresses and neighbours.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "lbctl/base/result.hpp"
#include "lbctl/model/facts.hpp"

namespace lbctl::kernel {

/// Everything of NodeFacts but xdp_program, cid_keys and next_hops, in the network namespace of the
/// calling thread.
Result<model::NodeFacts> read_facts();

/// The next hops to `addresses` by the kernel's routes (RTM_GETROUTE); those without a route are
/// not in the result.
Result<std::map<model::IpAddress, model::NextHop>> find_next_hops(
    const std::set<model::IpAddress>& addresses);

/// The MACs of `addresses` on `device`. Those that are not known the kernel is made to ask for
/// (ARP, NDP), and the answers are waited for, up to `timeout`. Who does not answer is not in the
/// result. Errors: not_found (device), permission (CAP_NET_ADMIN), system (such as ENETDOWN).
Result<std::map<model::IpAddress, model::MacAddress>> resolve_neighbours(
    const std::string& device, const std::set<model::IpAddress>& addresses,
    std::chrono::milliseconds timeout);

/// Who answers ARP for each of these IPv4 addresses on the segment of `device`, asked by probes
/// (RFC 5227) three times within `patience`, which is waited out. The device itself is not among
/// them. Errors: as of resolve_neighbours(), and permission also without CAP_NET_RAW.
Result<std::map<model::IpAddress, std::set<model::MacAddress>>> find_arp_holders(
    const std::string& device, const std::set<model::IpAddress>& addresses,
    std::chrono::milliseconds patience);
/// Likewise who answers neighbour solicitations (RFC 4861) for IPv6 addresses, asked from another
/// address of the device. Errors: not_found also where it has none.
Result<std::map<model::IpAddress, std::set<model::MacAddress>>> find_ndp_holders(
    const std::string& device, const std::set<model::IpAddress>& addresses,
    std::chrono::milliseconds patience);

/// Which of `addresses`, hosts on the segment of `device`, answer a short ping and none of `mtu`
/// octets that must not be fragmented: each is asked three times within `patience`. Errors: as of
/// find_arp_holders().
Result<std::set<model::IpAddress>> find_narrow(const std::string& device,
                                               const std::set<model::IpAddress>& addresses,
                                               std::uint32_t mtu,
                                               std::chrono::milliseconds patience);

}  // namespace lbctl::kernel
