// Asking a segment who has an address, by ARP probes (RFC 5227 2.1.1): the sender names no address
// of its own, so that nobody's table changes.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "announce.hpp"

namespace lbctl::kernel::rtnl {

/// The whole Ethernet frame.
Frame arp_probe(const model::IpAddress& address, const model::MacAddress& mac);

/// Who says in this frame, at which Ethernet address, that an IPv4 address is its own; nothing if
/// it is no ARP reply.
std::optional<std::pair<model::IpAddress, model::MacAddress>> read_arp_reply(
    std::span<const std::uint8_t> frame);

}  // namespace lbctl::kernel::rtnl
