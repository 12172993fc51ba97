#include "judge.hpp"

#include <algorithm>

#include "reference.hpp"

namespace lbctl::tests {

namespace {

using model::IpAddress;

/// Reads behind the end are noticed, not made.
class Octets {
 public:
  explicit Octets(const Bytes& all) : all_(all) {}
  bool has(std::size_t from, std::size_t length) const { return from + length <= all_.size(); }
  unsigned at(std::size_t i) const { return all_.at(i); }
  unsigned at16(std::size_t i) const { return at(i) << 8 | at(i + 1); }
  Bytes part(std::size_t from, std::size_t length) const {
    const auto begin = all_.begin() + static_cast<std::ptrdiff_t>(from);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
  }
  IpAddress address(std::size_t from, std::size_t length) const {
    return IpAddress::from_octets(part(from, length)).value();
  }

 private:
  const Bytes& all_;
};

/// Where things are in a packet that is looked at.
struct Place {
  std::size_t ip = 0;
  bool v4 = true;
  bool quoted = false;
  model::SteeredKey vip;
  std::size_t quic = 0;
};

constexpr unsigned udp = 17;

std::optional<Place> udp_at(const Octets& packet, std::size_t at, Place place,
                            std::size_t addresses, bool from_us) {
  if (!packet.has(at, 8)) return std::nullopt;
  const std::size_t length = place.v4 ? 4 : 16;
  place.vip = {packet.address(addresses + (from_us ? 0 : length), length),
               model::Port{static_cast<std::uint16_t>(packet.at16(at + (from_us ? 0 : 2)))}};
  place.quic = at + 8;
  place.quoted = from_us;
  return place;
}

std::optional<Place> in_error(const Octets& packet, std::size_t icmp, Place place) {
  const std::size_t inner = icmp + 8, least = place.v4 ? 20 : 40;
  if (!packet.has(inner, least)) return std::nullopt;
  const unsigned type = packet.at(icmp);
  const bool error = place.v4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
  if (!error || packet.at(inner) >> 4 != (place.v4 ? 4 : 6)) return std::nullopt;
  const std::size_t length = place.v4 ? 4 : 16, source = inner + (place.v4 ? 12 : 8);
  const std::size_t outer_target = place.ip + (place.v4 ? 16 : 24);
  if (packet.part(source, length) != packet.part(outer_target, length)) return std::nullopt;
  if (packet.at(inner + (place.v4 ? 9 : 6)) != udp) return std::nullopt;
  std::size_t header = least;
  if (place.v4) {
    header = 4 * (packet.at(inner) & 15);
    if (header < least || (packet.at16(inner + 6) & 0x1fff) != 0) return std::nullopt;
  }
  return udp_at(packet, inner + header, place, source, true);
}

std::optional<Place> in_ipv4(const Octets& packet, std::size_t ip) {
  if (!packet.has(ip, 20)) return std::nullopt;
  const std::size_t header = 4 * (packet.at(ip) & 15);
  if (packet.at(ip) >> 4 != 4 || header < 20 || (packet.at16(ip + 6) & 0x3fff) != 0)
    return std::nullopt;
  const Place place{.ip = ip, .v4 = true, .vip = {}};
  if (packet.at(ip + 9) == 1) return in_error(packet, ip + header, place);
  if (packet.at(ip + 9) != udp) return std::nullopt;
  return udp_at(packet, ip + header, place, ip + 12, false);
}

std::optional<Place> in_ipv6(const Octets& packet, std::size_t ip) {
  // Nothing of interest is shorter than IPv6 and 8 octets.
  if (!packet.has(ip, 48) || packet.at(ip) >> 4 != 6) return std::nullopt;
  std::size_t at = ip + 40;
  unsigned next = packet.at(ip + 6);
  for (int i = 0; i < 4 && (next == 0 || next == 43 || next == 60); ++i) {
    if (!packet.has(at, 4) || (next == 43 && packet.at(at + 3) != 0)) return std::nullopt;
    next = packet.at(at);
    at += 8 * (packet.at(at + 1) + 1);
  }
  const Place place{.ip = ip, .v4 = false, .vip = {}};
  if (next == 58) return in_error(packet, at, place);
  return next == udp ? udp_at(packet, at, place, ip + 8, false) : std::nullopt;
}

std::optional<Place> find(const Octets& packet) {
  if (!packet.has(0, 14)) return std::nullopt;
  std::size_t at = 12;
  for (int tags = 0; tags < 2; ++tags) {
    const unsigned type = packet.at16(at);
    if (type != 0x8100 && type != 0x88a8) break;
    if (!packet.has(at + 2, 4)) return std::nullopt;
    at += 4;
  }
  if (packet.at16(at) == 0x0800) return in_ipv4(packet, at + 2);
  if (packet.at16(at) == 0x86dd) return in_ipv6(packet, at + 2);
  return std::nullopt;
}

/// 20 octets of which the connection ID is the beginning, and how long it is; or the reason why
/// not.
struct FoundCid {
  std::optional<qs_outcome> instead;
  Bytes octets;
  std::size_t length = 0;
};

FoundCid find_cid(const Octets& packet, const Place& place, const model::SteeredService& service) {
  const std::size_t quic = place.quic;
  if (place.quoted) {
    if (!packet.has(quic, 6)) return {QS_TOO_SHORT, {}};
    if (packet.at(quic) < 0x80 || packet.at(quic + 5) > 20) return {QS_UNROUTABLE, {}};
    const std::size_t source = quic + 6 + packet.at(quic + 5);
    if (!packet.has(source, 21)) return {QS_TOO_SHORT, {}};
    return {{}, packet.part(source + 1, 20), packet.at(source)};
  }
  if (!packet.has(quic, 21)) return {QS_TOO_SHORT, {}};
  if (packet.at(quic) < 0x80) return {{}, packet.part(quic + 1, 20), 20};
  if (service.keep_long) return {QS_LONG_HEADER, {}};
  if (!packet.has(quic, 26)) return {QS_TOO_SHORT, {}};
  return {{}, packet.part(quic + 6, 20), packet.at(quic + 5)};
}

model::MacAddress mac_at(const Bytes& packet, std::size_t at) {
  model::MacAddress out;
  std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at), 6, out.octets.begin());
  return out;
}

/// One hop further, to `mac`. The checksum is computed anew: what was wrong before stays as wrong.
Judgement send(const Place& place, const Bytes& packet, const model::MacAddress& mac) {
  Judgement out{Verdict::send, QS_STEERED, packet};
  std::uint8_t& ttl = out.packet[place.ip + (place.v4 ? 8 : 7)];
  if (ttl <= 1) return {Verdict::drop, QS_TTL_EXPIRED, packet};
  --ttl;
  if (place.v4) {
    const unsigned sum =
        static_cast<unsigned>(out.packet[place.ip + 10] << 8 | out.packet[place.ip + 11]) + 0x0100;
    const unsigned folded = sum >= 0xffff ? sum + 1 - 0x10000 : sum;
    out.packet[place.ip + 10] = static_cast<std::uint8_t>(folded >> 8);
    out.packet[place.ip + 11] = static_cast<std::uint8_t>(folded);
  }
  std::copy_n(packet.begin(), 6, out.packet.begin() + 6);
  std::ranges::copy(mac.octets, out.packet.begin());
  return out;
}

}  // namespace

Judgement judge(const World& world, const Bytes& packet) {
  const auto place = find(Octets(packet));
  if (!place) return {Verdict::pass, std::nullopt, packet};
  const auto service = world.state.services.find(place->vip);
  if (service == world.state.services.end()) return {Verdict::pass, std::nullopt, packet};
  if (!world.self.contains(mac_at(packet, 0))) return {Verdict::pass, QS_OTHER_STATION, packet};
  if (world.peers.contains(mac_at(packet, 6))) return {Verdict::pass, QS_FROM_PEER, packet};
  const FoundCid cid = find_cid(Octets(packet), *place, service->second);
  if (cid.instead) return {Verdict::pass, cid.instead, packet};
  const auto id = decode_cid(service->second.cids, cid.octets, cid.length);
  if (!id) return {Verdict::pass, QS_UNROUTABLE, packet};
  const auto target = world.state.servers.find(*id);
  if (target == world.state.servers.end())
    return {service->second.drop_unknown ? Verdict::drop : Verdict::pass, QS_UNKNOWN_ID, packet};
  if (target->second.local) return {Verdict::pass, QS_LOCAL, packet};
  if (target->second.mac.is_zero()) return {Verdict::pass, QS_UNRESOLVED, packet};
  return send(*place, packet, target->second.mac);
}

}  // namespace lbctl::tests
