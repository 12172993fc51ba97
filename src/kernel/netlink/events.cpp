#include "lbctl/kernel/events.hpp"

#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>

namespace lbctl::kernel {
namespace {

std::uint32_t groups(News kind) {
  const auto bit = [](int group) { return 1U << (group - 1); };
  if (kind == News::nft) return bit(NFNLGRP_NFTABLES);
  if (kind == News::neighbours) return bit(RTNLGRP_NEIGH);
  return bit(RTNLGRP_LINK) | bit(RTNLGRP_IPV4_IFADDR) | bit(RTNLGRP_IPV6_IFADDR);
}

/// Who asks for a neighbour makes news of that, too; only answers count.
bool is_answer(const nlmsghdr& header) {
  const auto& neighbour = *static_cast<const ndmsg*>(NLMSG_DATA(&header));
  return header.nlmsg_len >= NLMSG_LENGTH(sizeof neighbour) && header.nlmsg_type == RTM_NEWNEIGH &&
         (neighbour.ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_PERMANENT)) != 0;
}

std::optional<std::string> about(News kind, const nlmsghdr& header) {
  if (kind == News::nft) return "nftables rules changed";
  if (kind == News::neighbours)
    return is_answer(header) ? std::optional<std::string>("a neighbour answered") : std::nullopt;
  const bool address = header.nlmsg_type == RTM_NEWADDR || header.nlmsg_type == RTM_DELADDR;
  return address ? "an address changed" : "a device changed";
}

}  // namespace

Result<Fd> open_news(News kind) {
  const int protocol = kind == News::nft ? NETLINK_NETFILTER : NETLINK_ROUTE;
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd) return fail_errno("open a netlink socket for news");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups(kind);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("listen to netlink news");
  return fd;
}

std::optional<std::string> read_news(int socket, News kind) {
  std::optional<std::string> out;
  alignas(nlmsghdr) std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      out = "more changed than the kernel could tell";
      continue;
    }
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return out;
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
    if (!out) out = about(kind, *header);
  }
}

}  // namespace lbctl::kernel
