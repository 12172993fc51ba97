#include "h3/udp.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace peer {
namespace {

/// Room for one in_pktinfo or in6_pktinfo, aligned as the CMSG macros want it.
union ControlBuffer {
  cmsghdr align;
  char space[CMSG_SPACE(sizeof(in6_pktinfo))];
};

bool is_wildcard(const SocketAddress& address) {
  if (address.family() == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr.s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr);
}

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

std::expected<UdpSocket, std::string> UdpSocket::open(const SocketAddress& listen) {
  Fd socket(::socket(listen.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return std::unexpected(fmt::format("socket: {}", std::strerror(errno)));
  const int fd = socket.get();
  // PROBE sets DF and ignores the kernel's path MTU: ngtcp2 searches the MTU itself.
  if (listen.family() == AF_INET) {
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  } else {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  }
  set_option(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20);
  if (bind(fd, listen.get(), listen.length) != 0)
    return std::unexpected(fmt::format("{}: {}", to_string(listen), std::strerror(errno)));
  return UdpSocket(std::move(socket), listen);
}

bool UdpSocket::serves(const sockaddr* local) const {
  if (local->sa_family != address_.family()) return false;
  if (!is_wildcard(address_)) return to_string(local) == to_string(address_);
  const auto port = local->sa_family == AF_INET
                        ? reinterpret_cast<const sockaddr_in*>(local)->sin_port
                        : reinterpret_cast<const sockaddr_in6*>(local)->sin6_port;
  return ntohs(port) == address_.port();
}

std::optional<Datagram> UdpSocket::receive() {
  Datagram datagram;
  ControlBuffer control{};
  iovec data{buffer_.data(), buffer_.size()};
  msghdr message{};
  message.msg_name = datagram.remote.get();
  message.msg_namelen = sizeof datagram.remote.storage;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.space;
  message.msg_controllen = sizeof control.space;
  const ssize_t got = recvmsg(fd(), &message, 0);
  if (got < 0) return std::nullopt;
  datagram.data = std::span(buffer_).first(static_cast<std::size_t>(got));
  datagram.remote.length = message.msg_namelen;
  datagram.local = address_;
  for (auto* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      reinterpret_cast<sockaddr_in*>(datagram.local.get())->sin_addr = info.ipi_addr;
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      reinterpret_cast<sockaddr_in6*>(datagram.local.get())->sin6_addr = info.ipi6_addr;
    }
  }
  return datagram;
}

bool UdpSocket::send(const sockaddr* local, const sockaddr* remote, socklen_t remote_length,
                     std::span<const std::uint8_t> data) const {
  ControlBuffer control{};
  iovec part{const_cast<std::uint8_t*>(data.data()), data.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(remote);
  message.msg_namelen = remote_length;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.space;
  message.msg_controllen = sizeof control.space;
  auto* header = CMSG_FIRSTHDR(&message);
  // The interface index stays 0: the routing table decides by which device the answer leaves.
  if (local->sa_family == AF_INET) {
    in_pktinfo info{};
    info.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(local)->sin_addr;
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  } else {
    in6_pktinfo info{};
    info.ipi6_addr = reinterpret_cast<const sockaddr_in6*>(local)->sin6_addr;
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  }
  return sendmsg(fd(), &message, 0) == static_cast<ssize_t>(data.size());
}

}  // namespace peer
