#include "packet.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace lbctl::tests {

namespace {

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put(Bytes& out, auto&& octets) {
  out.insert(out.end(), octets.begin(), octets.end());
}

std::uint16_t checksum(const Bytes& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes udp_of(const Frame& frame) {
  Bytes udp;
  const auto length = static_cast<unsigned>(8 + frame.payload.size());
  put16(udp, frame.source_port);
  put16(udp, frame.port);
  put16(udp, length);
  put16(udp, 0);
  put(udp, frame.payload);
  Bytes pseudo;
  put(pseudo, frame.source.octets());
  put(pseudo, frame.destination.octets());
  put16(pseudo, 17);
  put16(pseudo, length);
  put(pseudo, udp);
  const std::uint16_t sum = checksum(pseudo);
  udp[6] = static_cast<std::uint8_t>((sum == 0 ? 0xffff : sum) >> 8);
  udp[7] = static_cast<std::uint8_t>(sum == 0 ? 0xffff : sum);
  return udp;
}

constexpr std::uint8_t udp_protocol = 17, icmp_protocol = 1, icmpv6_protocol = 58;

void put_ipv4(Bytes& out, const Frame& frame, std::size_t udp_length) {
  const std::size_t header_length = 20 + frame.options.size();
  Bytes ip_header = {static_cast<std::uint8_t>(0x40 | header_length / 4), 0};
  put16(ip_header, static_cast<unsigned>(header_length + udp_length));
  put16(ip_header, frame.ip_id);
  put16(ip_header, frame.fragment);
  put(ip_header, Bytes{frame.ttl, frame.icmp.empty() ? udp_protocol : icmp_protocol, 0, 0});
  put(ip_header, frame.source.octets());
  put(ip_header, frame.destination.octets());
  put(ip_header, frame.options);
  const std::uint16_t sum = checksum(ip_header);
  ip_header[10] = static_cast<std::uint8_t>(sum >> 8);
  ip_header[11] = static_cast<std::uint8_t>(sum);
  put(out, ip_header);
}

void put_ipv6(Bytes& out, const Frame& frame, std::size_t udp_length) {
  put(out, Bytes{0x60, 0, 0, 0});
  put16(out, static_cast<unsigned>(frame.options.size() + udp_length));
  const bool plain_icmp = !frame.icmp.empty() && frame.next_header == udp_protocol;
  put(out, Bytes{plain_icmp ? icmpv6_protocol : frame.next_header, frame.ttl});
  put(out, frame.source.octets());
  put(out, frame.destination.octets());
  put(out, frame.options);
}

}  // namespace

Bytes hex(std::string_view digits) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    std::uint8_t octet = 0;
    const char* end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, octet, 16).ptr != end)
      throw std::invalid_argument("not hexadecimal: " + std::string(digits));
    out.push_back(octet);
  }
  return out;
}

model::IpAddress ip(std::string_view text) {
  return model::IpAddress::parse(text).value();
}

model::MacAddress mac(std::string_view text) {
  model::MacAddress out;
  unsigned at = 0;
  for (std::uint8_t& octet : out.octets) {
    std::from_chars(text.data() + at, text.data() + at + 2, octet, 16);
    at += 3;
  }
  return out;
}

Bytes Frame::bytes() const {
  const Bytes udp = icmp.empty() ? udp_of(*this) : icmp;
  Bytes out;
  put(out, to.octets);
  put(out, from.octets);
  for (const std::uint16_t tag : tags) {
    put16(out, tag);
    put16(out, 0x2064);  // priority 1, VLAN 100
  }
  put16(out, destination.is_v4() ? 0x0800 : 0x86dd);
  if (destination.is_v4())
    put_ipv4(out, *this, udp.size());
  else
    put_ipv6(out, *this, udp.size());
  put(out, udp);
  return out;
}

Bytes outer_header(const model::IpAddress& source, const model::IpAddress& destination,
                   std::size_t length, std::uint8_t protocol) {
  Bytes out;
  if (source.is_v4()) {
    out = {0x45, 0};
    put16(out, static_cast<unsigned>(20 + length));
    put(out, Bytes{0, 0, 0x40, 0, 64, protocol, 0, 0});
  } else {
    out = {0x60, 0, 0, 0};
    put16(out, static_cast<unsigned>(length));
    put(out, Bytes{protocol, 64});
  }
  put(out, source.octets());
  put(out, destination.octets());
  if (!source.is_v4()) return out;
  const std::uint16_t sum = checksum(out);
  out[10] = static_cast<std::uint8_t>(sum >> 8);
  out[11] = static_cast<std::uint8_t>(sum);
  return out;
}

Bytes wrapped(const Frame& frame, const model::IpAddress& source,
              const model::IpAddress& destination) {
  Bytes out = frame.bytes();
  const std::size_t ip = 14 + 4 * frame.tags.size();
  const auto header = outer_header(source, destination, out.size() - ip,
                                   frame.source.is_v4() ? std::uint8_t{4} : std::uint8_t{41});
  const unsigned type = source.is_v4() ? 0x0800 : 0x86dd;
  out[ip - 2] = static_cast<std::uint8_t>(type >> 8);
  out[ip - 1] = static_cast<std::uint8_t>(type);
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(ip), header.begin(), header.end());
  return out;
}

Bytes icmp_error(std::uint8_t type, const Frame& about, std::size_t quoted) {
  constexpr std::size_t ethernet = 14;
  Bytes packet = about.bytes();
  packet.erase(packet.begin(), packet.begin() + ethernet);
  packet.resize(std::min(packet.size(), quoted));
  return join({{type, 0, 0x12, 0x34, 0, 0, 0x05, 0xdc}, packet});
}

Bytes server_packet(const Bytes& dcid, const Bytes& scid) {
  return join({{0xe0, 0, 0, 0, 1, static_cast<std::uint8_t>(dcid.size())},
               dcid,
               {static_cast<std::uint8_t>(scid.size())},
               scid,
               Bytes(40, 0xcd)});
}

Bytes short_packet(const Bytes& cid, std::size_t rest, std::uint8_t first) {
  return join({{first}, cid, Bytes(rest, 0xab)});
}

Bytes long_packet(const Bytes& cid, std::uint32_t version, std::uint8_t first) {
  Bytes out = {first};
  put16(out, version >> 16);
  put16(out, version & 0xffff);
  out.push_back(static_cast<std::uint8_t>(cid.size()));
  return join({out, cid, {5, 1, 2, 3, 4, 5}, Bytes(40, 0xcd)});
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts)
    put(out, part);
  return out;
}

}  // namespace lbctl::tests
