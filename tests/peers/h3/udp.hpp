#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include "common/address.hpp"
#include "common/fd.hpp"

namespace peer {

/// A datagram with both of its addresses: a path, in QUIC's words.
struct Datagram {
  SocketAddress local;  // the destination in its IP header: the VIP, even on a wildcard socket
  SocketAddress remote;
  std::span<const std::uint8_t> data;  // valid until the next receive
};

/// A UDP socket that learns the destination address of every datagram (IP_PKTINFO,
/// IPV6_RECVPKTINFO) and sends answers from that address. A plain socket on 0.0.0.0 would answer
/// from the real server's own address, which a client of the VIP drops.
class UdpSocket {
 public:
  static std::expected<UdpSocket, std::string> open(const SocketAddress& listen);

  int fd() const { return socket_.get(); }
  const SocketAddress& address() const { return address_; }
  /// Whether answers from this local address go out by this socket.
  bool serves(const sockaddr* local) const;
  /// Nothing when no datagram waits.
  std::optional<Datagram> receive();
  /// False when the kernel refused it; to QUIC that is a lost packet.
  bool send(const sockaddr* local, const sockaddr* remote, socklen_t remote_length,
            std::span<const std::uint8_t> data) const;

 private:
  UdpSocket(Fd socket, const SocketAddress& address)
      : socket_(std::move(socket)), address_(address) {}

  Fd socket_;
  SocketAddress address_;
  std::array<std::uint8_t, 65536> buffer_{};
};

}  // namespace peer
