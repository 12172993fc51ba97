#include "tcp_sockets.hpp"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

#include "socket.hpp"

namespace lbctl::kernel::rtnl {
namespace {

using model::IpAddress;

constexpr std::uint32_t counted_states =
    (1u << TCP_ESTABLISHED) | (1u << TCP_SYN_SENT) | (1u << TCP_SYN_RECV) | (1u << TCP_FIN_WAIT1) |
    (1u << TCP_FIN_WAIT2) | (1u << TCP_CLOSE_WAIT) | (1u << TCP_LAST_ACK) | (1u << TCP_CLOSING);

Result<Message> encode_list(std::uint8_t family) {
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = counted_states;
  Message message(nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, 0));
  if (!message || nlmsg_append(message.get(), &request, sizeof request, NLMSG_ALIGNTO) < 0)
    return fail(Errc::system, "out of memory for a netlink message");
  return message;
}

/// An IPv6 socket may hold an IPv4 connection (::ffff:192.0.2.1).
std::optional<IpAddress> local_address(const nlmsghdr& message) {
  inet_diag_msg socket{};
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof socket)) return std::nullopt;
  std::memcpy(&socket, NLMSG_DATA(&message), sizeof socket);
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), socket.id.idiag_src, octets.size());
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (socket.idiag_family == AF_INET) return IpAddress::from_octets(std::span(octets).first(4));
  if (std::equal(mapped.begin(), mapped.end(), octets.begin()))
    return IpAddress::from_octets(std::span(octets).last(4));
  return IpAddress::from_octets(octets);
}

}  // namespace

Result<std::map<IpAddress, std::uint32_t>> count_tcp_sockets(const std::set<IpAddress>& addresses) {
  auto socket = Socket::open(NETLINK_SOCK_DIAG);
  if (!socket) return fail(std::move(socket).error());
  std::map<IpAddress, std::uint32_t> out;
  for (const int family : {AF_INET, AF_INET6}) {
    const auto request = encode_list(static_cast<std::uint8_t>(family));
    if (!request) return fail(request.error());
    std::map<IpAddress, std::uint32_t> found;
    auto read = socket->dump(
        *request, [&] { found.clear(); },
        [&](const nlmsghdr& message) {
          const auto address = local_address(message);
          if (address && addresses.contains(*address)) ++found[*address];
        });
    if (!read && read.error().sys() == ENOENT) {
      for (const IpAddress& address : addresses)
        out.emplace(address, 0);
      return out;
    }
    if (!read) return fail(std::move(read).error().during("count the TCP sockets"));
    for (const auto& [address, count] : found)
      out[address] += count;
  }
  return out;
}

}  // namespace lbctl::kernel::rtnl
