#include "segment.hpp"

#include <netinet/in.h>

#include "octets.hpp"

namespace lbctl::daemon {

using model::EndpointKey;

namespace {

constexpr std::size_t header_size = 20;
constexpr std::size_t checksum_at = 16;
constexpr std::uint8_t option_end = 0, option_nothing = 1;
constexpr std::uint8_t hops = 64;
constexpr std::uint16_t window = 65535;

/// The next option, and it is taken from the front; nothing at the end or if it is cut off.
std::optional<std::string_view> take_option(std::string_view& options) {
  while (!options.empty() && options.front() == option_nothing)
    options.remove_prefix(1);
  if (options.size() < 2 || options.front() == option_end) return std::nullopt;
  const auto size = static_cast<std::uint8_t>(options[1]);
  if (size < 2 || size > options.size()) return std::nullopt;
  const std::string_view out = options.substr(0, size);
  options.remove_prefix(size);
  return out;
}

void put_address(std::string& out, const model::IpAddress& address) {
  for (const std::uint8_t octet : address.octets())
    out += static_cast<char>(octet);
}

/// RFC 1071; of whole words.
std::uint16_t checksum(std::string_view text) {
  std::uint32_t sum = 0;
  Reader reader(text);
  while (const auto word = reader.number(2))
    sum += *word;
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

std::string tcp_header(const EndpointKey& from, const EndpointKey& to, const Segment& segment) {
  std::string out;
  put(out, number(from.port), 2);
  put(out, number(to.port), 2);
  put(out, segment.sequence, 4);
  put(out, segment.acknowledged, 4);
  put(out, (header_size + segment.options.size()) / 4 << 4U, 1);
  put(out, segment.flags, 1);
  put(out, window, 2);
  put(out, 0, 4);  // checksum, urgent pointer
  out += segment.options;
  std::string summed;
  put_address(summed, from.address);
  put_address(summed, to.address);
  put(summed, IPPROTO_TCP, 4);
  put(summed, out.size(), 4);
  std::string sum;
  put(sum, checksum(summed + out), 2);
  return out.replace(checksum_at, 2, sum);
}

}  // namespace

std::optional<std::string_view> Segment::mptcp(MptcpSubtype subtype) const {
  std::string_view left = options;
  while (const auto option = take_option(left)) {
    if (option->front() != option_mptcp || option->size() < 4) continue;
    if (static_cast<std::uint8_t>((*option)[2]) >> 4U == static_cast<std::uint8_t>(subtype))
      return option;
  }
  return std::nullopt;
}

std::optional<Segment> read_segment(std::string_view octets) {
  Reader reader(octets);
  const auto from = reader.number(2), to = reader.number(2);
  const auto sequence = reader.number(4), acknowledged = reader.number(4);
  const auto words = reader.number(1), flags = reader.number(1);
  if (!reader.take(header_size - 14)) return std::nullopt;
  const std::size_t size = (*words >> 4U) * std::size_t{4};
  if (size < header_size) return std::nullopt;
  const auto options = reader.take(size - header_size);
  if (!options) return std::nullopt;
  return Segment{
      static_cast<model::Port>(*from),   static_cast<model::Port>(*to), *sequence, *acknowledged,
      static_cast<std::uint8_t>(*flags), std::string(*options)};
}

std::string packet_of(const EndpointKey& from, const EndpointKey& to, const Segment& segment) {
  const std::string header = tcp_header(from, to, segment);
  std::string out;
  if (from.address.is_v4()) {
    put(out, 0x45, 1);  // version, length in words
    put(out, 0, 1);
    put(out, 20 + header.size(), 2);
    put(out, 0, 2);
    put(out, 0x4000, 2);  // not to be fragmented
    put(out, hops, 1);
    put(out, IPPROTO_TCP, 1);
    put(out, 0, 2);
  } else {
    put(out, 0x60000000, 4);
    put(out, header.size(), 2);
    put(out, IPPROTO_TCP, 1);
    put(out, hops, 1);
  }
  put_address(out, from.address);
  put_address(out, to.address);
  return out + header;
}

}  // namespace lbctl::daemon
