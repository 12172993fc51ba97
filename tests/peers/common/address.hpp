#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace peer {

/// An IPv4 or IPv6 socket address with its length: what bind, connect and sendmsg take.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
};

/// "192.0.2.1:443" or "[2001:db8::1]:443"; the error is a sentence.
std::expected<SocketAddress, std::string> parse_address_port(std::string_view text);
/// Several of them, separated by commas; at least one.
std::expected<std::vector<SocketAddress>, std::string> parse_address_ports(std::string_view text);
/// "192.0.2.1" or "2001:db8::1", with or without brackets; the port is 0.
std::expected<SocketAddress, std::string> parse_address(std::string_view text);

/// The text that parse_address_port reads; "?" for another family.
std::string to_string(const sockaddr* address);
inline std::string to_string(const SocketAddress& address) {
  return to_string(address.get());
}

}  // namespace peer
