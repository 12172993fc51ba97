// Netlink messages as hexadecimal, as they stand in the tests (little-endian hosts).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "netlink/genl.hpp"

namespace lbctl::kernel::test {

/// "0a 00" -> {0x0a, 0x00}.
inline std::vector<std::uint8_t> octets(std::string_view hex) {
  std::vector<std::uint8_t> out;
  int high = -1;
  for (const char c : hex) {
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (digit < 0) continue;
    if (high >= 0) out.push_back(static_cast<std::uint8_t>(high * 16 + digit));
    high = high >= 0 ? -1 : digit;
  }
  return out;
}

inline std::string hex(const std::uint8_t* data, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i)
    out += fmt::format("{}{:02x}", i == 0 ? "" : " ", data[i]);
  return out;
}

/// What follows the netlink header of a request.
inline std::string payload(const genl::Message& message) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
  return hex(reinterpret_cast<const std::uint8_t*>(header) + NLMSG_HDRLEN,
             header->nlmsg_len - std::size_t{NLMSG_HDRLEN});
}

/// A message with this payload, ready to be decoded; size() may be cut for broken ones.
class Raw {
 public:
  explicit Raw(std::string_view payload_hex, std::uint16_t type = 0x20, std::uint16_t flags = 0)
      : Raw(octets(payload_hex), type, flags) {}
  Raw(const std::vector<std::uint8_t>& payload, std::uint16_t type, std::uint16_t flags) {
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + payload.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    bytes_.resize(header.nlmsg_len);
    std::memcpy(bytes_.data(), &header, sizeof header);
    if (!payload.empty()) std::memcpy(bytes_.data() + NLMSG_HDRLEN, payload.data(), payload.size());
  }
  const nlmsghdr& operator*() const { return *reinterpret_cast<const nlmsghdr*>(bytes_.data()); }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// The same message cut to each shorter length in turn, its header telling the cut length.
template <class F>
void for_each_cut(std::string_view payload_hex, const F& each) {
  const auto whole = octets(payload_hex);
  for (std::size_t size = 0; size < whole.size(); ++size)
    each(Raw({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, 0x20, 0));
}

}  // namespace lbctl::kernel::test
