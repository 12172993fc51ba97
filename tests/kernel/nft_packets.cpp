#include "nft_packets.hpp"

#include <algorithm>
#include <span>

namespace lbctl::tests {
namespace {

constexpr std::size_t ip_at = 14;

void put(Frame& frame, std::span<const std::uint8_t> octets) {
  frame.insert(frame.end(), octets.begin(), octets.end());
}

void put16(Frame& frame, std::size_t value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8 & 0xff));
  frame.push_back(static_cast<std::uint8_t>(value & 0xff));
}

std::uint16_t get16(const Frame& frame, std::size_t at) {
  return static_cast<std::uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

std::uint16_t sum(std::span<const std::uint8_t> octets) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i + 1 < octets.size(); i += 2)
    total += static_cast<std::uint32_t>(octets[i] << 8 | octets[i + 1]);
  while (total >> 16)
    total = (total & 0xffff) + (total >> 16);
  return static_cast<std::uint16_t>(~total);
}

Frame ipv4(const Packet& packet) {
  Frame out{0x45, 0};
  put16(out, 20 + packet.payload.size());
  put16(out, packet.mark);
  put16(out, packet.fragment_offset.value_or(0) / 8);
  out.push_back(packet.hop_limit);
  out.push_back(packet.protocol);
  put16(out, 0);
  put(out, packet.from.octets());
  put(out, packet.to.octets());
  const std::uint16_t checksum = sum(out);
  out[10] = static_cast<std::uint8_t>(checksum >> 8);
  out[11] = static_cast<std::uint8_t>(checksum & 0xff);
  put(out, packet.payload);
  return out;
}

Frame ipv6(const Packet& packet) {
  Frame body;
  std::uint8_t next = packet.protocol;
  if (packet.fragment_offset) {
    body = {next, 0};
    put16(body, *packet.fragment_offset);
    body.insert(body.end(), {0, 0, 0, 1});
    next = 44;
  }
  put(body, packet.payload);
  Frame out{0x60, 0};
  put16(out, packet.mark);
  put16(out, body.size());
  out.push_back(next);
  out.push_back(packet.hop_limit);
  put(out, packet.from.octets());
  put(out, packet.to.octets());
  put(out, body);
  return out;
}

bool is_ipv4(const Frame& frame) {
  return frame.size() >= ip_at + 20 && get16(frame, 12) == 0x0800;
}
bool is_ipv6(const Frame& frame) {
  return frame.size() >= ip_at + 40 && get16(frame, 12) == 0x86dd;
}

}  // namespace

Packet Packet::tcp(const model::IpAddress& from, const model::IpAddress& to, int flags,
                   const Frame& options) {
  Frame payload = hex("c000 01bb 00000001 00000000");
  payload.push_back(static_cast<std::uint8_t>((20 + options.size()) / 4 << 4));
  payload.push_back(static_cast<std::uint8_t>(flags));
  put(payload, hex("ffff 0000 0000"));
  put(payload, options);
  return {.from = from, .to = to, .protocol = 6, .payload = payload};
}

Packet Packet::udp(const model::IpAddress& from, const model::IpAddress& to) {
  return {.from = from, .to = to, .protocol = 17, .payload = hex("c000 01bb 0008 0000")};
}

Packet Packet::icmp(const model::IpAddress& from, const model::IpAddress& to, std::uint8_t type) {
  // Code 4 under type 3 is "fragmentation needed", with an MTU of 1280.
  Frame payload{type, 4};
  put(payload, hex("0000 0000 0500"));
  return {.from = from,
          .to = to,
          .protocol = static_cast<std::uint8_t>(from.is_v4() ? 1 : 58),
          .payload = payload};
}

Frame Packet::frame(const std::string& to_mac, const std::string& from_mac) const {
  Frame out = hex(to_mac + from_mac + (to.is_v4() ? "0800" : "86dd"));
  put(out, to.is_v4() ? ipv4(*this) : ipv6(*this));
  return out;
}

bool is_from_to(const Frame& frame, const std::string& from_mac, const std::string& to_mac) {
  const Frame start = hex(to_mac + from_mac);
  return frame.size() >= ip_at && std::equal(start.begin(), start.end(), frame.begin());
}

std::uint16_t mark_of(const Frame& frame) {
  if (is_ipv4(frame)) return get16(frame, ip_at + 4);
  return is_ipv6(frame) ? get16(frame, ip_at + 2) : std::uint16_t{0};
}

std::uint8_t hop_limit_of(const Frame& frame) {
  return frame.at(ip_at + (is_ipv4(frame) ? 8 : 7));
}

bool ip_header_sum_is_right(const Frame& frame) {
  return !is_ipv4(frame) || sum(std::span(frame).subspan(ip_at, 20)) == 0;
}

}  // namespace lbctl::tests
