#include "common/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

namespace peer {
namespace {

std::expected<std::uint16_t, std::string> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::unexpected(fmt::format("'{}' is not a port", text));
  return port;
}

}  // namespace

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
}

void SocketAddress::set_port(std::uint16_t port) {
  if (family() == AF_INET)
    reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
  else
    reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(port);
}

std::expected<SocketAddress, std::string> parse_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const std::string host(text);
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    address.length = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    address.length = sizeof(sockaddr_in6);
  } else {
    return std::unexpected(fmt::format("'{}' is not an IP address", text));
  }
  return address;
}

std::expected<SocketAddress, std::string> parse_address_port(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto host = text.substr(0, colon == text.npos ? 0 : colon);
  if (host.empty() || (host.contains(':') && !host.ends_with(']')))
    return std::unexpected(fmt::format("'{}' is not ADDRESS:PORT or [ADDRESS]:PORT", text));
  auto address = parse_address(host);
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::unexpected(port.error());
  if (address) address->set_port(*port);
  return address;
}

std::expected<std::vector<SocketAddress>, std::string> parse_address_ports(std::string_view text) {
  std::vector<SocketAddress> all;
  while (true) {
    const auto comma = text.find(',');
    const auto one = parse_address_port(text.substr(0, comma));
    if (!one) return std::unexpected(one.error());
    all.push_back(*one);
    if (comma == text.npos) return all;
    text.remove_prefix(comma + 1);
  }
}

std::string to_string(const sockaddr* address) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    return fmt::format("{}:{}", host, ntohs(v4->sin_port));
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    return fmt::format("[{}]:{}", host, ntohs(v6->sin6_port));
  }
  return "?";
}

}  // namespace peer
