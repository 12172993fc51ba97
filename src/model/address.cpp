#include "lbctl/model/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace lbctl::model {

std::string_view name(L4 protocol) {
  return protocol == L4::tcp ? "tcp" : "udp";
}
std::string_view name(Family family) {
  return family == Family::v4 ? "IPv4" : "IPv6";
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy(text);  // inet_pton wants a terminated string
  if (copy.size() != std::char_traits<char>::length(copy.c_str())) return std::nullopt;
  IpAddress out;
  if (inet_pton(AF_INET, copy.c_str(), out.octets_.data()) == 1) return out;
  out.octets_ = {};
  out.family_ = Family::v6;
  if (inet_pton(AF_INET6, copy.c_str(), out.octets_.data()) == 1) return out;
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::from_octets(std::span<const std::uint8_t> octets) {
  if (octets.size() != 4 && octets.size() != 16) return std::nullopt;
  IpAddress out;
  out.family_ = octets.size() == 4 ? Family::v4 : Family::v6;
  std::ranges::copy(octets, out.octets_.begin());
  return out;
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN];
  if (!is_v4()) return inet_ntop(AF_INET6, octets_.data(), buffer, sizeof buffer);
  // Plans name two addresses a line, and glibc's inet_ntop() goes through sprintf() for IPv4.
  char* end = buffer;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) *end++ = '.';
    end = std::to_chars(end, buffer + sizeof buffer, octets_[i]).ptr;
  }
  return {buffer, end};
}

std::string endpoint_text(const IpAddress& address, Port port) {
  std::string out = address.is_v4() ? address.text() : '[' + address.text() + ']';
  out += ':';
  out += std::to_string(number(port));
  return out;
}

std::string MacAddress::text() const {
  return fmt::format("{:02x}", fmt::join(octets, ":"));
}

}  // namespace lbctl::model
