#include "lbctl/kernel/listeners.hpp"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "socket.hpp"

namespace lbctl::kernel {
namespace {

using rtnl::Message;

Result<Message> encode_list(std::uint8_t family, model::L4 protocol) {
  const bool tcp = protocol == model::L4::tcp;
  inet_diag_req_v2 request{};
  request.sdiag_family = family;
  request.sdiag_protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  request.idiag_ext = 1u << (INET_DIAG_INFO - 1);  // with it comes the upper layer protocol
  // An unconnected UDP socket counts as closed.
  request.idiag_states = 1u << (tcp ? TCP_LISTEN : TCP_CLOSE);
  Message message(nlmsg_alloc_simple(SOCK_DIAG_BY_FAMILY, 0));
  if (!message || nlmsg_append(message.get(), &request, sizeof request, NLMSG_ALIGNTO) < 0)
    return fail(Errc::system, "out of memory for a netlink message");
  return message;
}

/// MPTCP is an upper layer protocol (ULP) on the TCP socket that listens.
bool takes_mptcp(nlattr* information) {
  nlattr* name = information ? nla_find(static_cast<nlattr*>(nla_data(information)),
                                        nla_len(information), INET_ULP_INFO_NAME)
                             : nullptr;
  return name != nullptr && std::string_view(nla_get_string(name)) == "mptcp";
}

void take(const nlmsghdr& message, model::L4 protocol, std::vector<model::OpenSocket>& out) {
  inet_diag_msg socket{};
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof socket)) return;
  std::memcpy(&socket, NLMSG_DATA(&message), sizeof socket);
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), socket.id.idiag_src, octets.size());
  const auto address = model::IpAddress::from_octets(
      std::span(octets).first(socket.idiag_family == AF_INET ? 4 : octets.size()));
  auto* header = const_cast<nlmsghdr*>(&message);  // libnl only reads it
  const auto attribute = [&](int type) {
    return nlmsg_find_attr(header, sizeof(inet_diag_msg), type);
  };
  nlattr* v6_only = attribute(INET_DIAG_SKV6ONLY);
  out.push_back(
      {.listener = {address.value_or(model::IpAddress()), model::Port{ntohs(socket.id.idiag_sport)},
                    takes_mptcp(attribute(INET_DIAG_ULP_INFO)),
                    v6_only != nullptr && nla_get_u8(v6_only) != 0},
       .protocol = protocol,
       .inode = socket.idiag_inode,
       .owner = {},
       .learns_destination = {}});
}

}  // namespace

Result<std::vector<model::OpenSocket>> read_sockets(model::L4 protocol) {
  auto socket = rtnl::Socket::open(NETLINK_SOCK_DIAG);
  if (!socket) return fail(std::move(socket).error());
  std::vector<model::OpenSocket> out;
  for (const int family : {AF_INET, AF_INET6}) {
    const auto request = encode_list(static_cast<std::uint8_t>(family), protocol);
    if (!request) return fail(request.error());
    std::vector<model::OpenSocket> found;
    auto read = socket->dump(
        *request, [&] { found.clear(); },
        [&](const nlmsghdr& message) { take(message, protocol, found); });
    if (!read && read.error().sys() == ENOENT)
      return fail(
          Error(Errc::unsupported, "the kernel cannot list sockets", ENOENT)
              .with_hint(protocol == model::L4::tcp ? "modprobe tcp_diag" : "modprobe udp_diag"));
    if (!read) return fail(std::move(read).error().during("list the sockets that listen"));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

Result<std::vector<model::Listener>> read_listeners(model::L4 protocol, model::Port port) {
  const auto sockets = read_sockets(protocol);
  if (!sockets) return fail(sockets.error());
  std::vector<model::Listener> out;
  for (const model::OpenSocket& socket : *sockets)
    if (socket.listener.port == port) out.push_back(socket.listener);
  return out;
}

}  // namespace lbctl::kernel
