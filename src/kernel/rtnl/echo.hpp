// Echo requests and replies (RFC 792, RFC 4443 4) as raw sockets take and give them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lbctl::kernel::rtnl {

struct Echo {
  std::uint16_t id = 0, sequence = 0;
};

/// An ICMP message of `size` octets, at least 8; the checksum of ICMPv6 is the kernel's.
std::vector<std::uint8_t> echo_request(bool v4, const Echo& echo, std::size_t size);

/// `packet`: of IPv4 with its header, of IPv6 without. Nothing if it is none.
std::optional<Echo> read_echo_reply(bool v4, std::span<const std::uint8_t> packet);

}  // namespace lbctl::kernel::rtnl
