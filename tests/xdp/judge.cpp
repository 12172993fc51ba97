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

/// Behind the Ethernet header and up to two tags; and the EtherType there.
struct Network {
  std::size_t at = 0;
  unsigned type = 0;
};

std::optional<Network> network(const Octets& packet) {
  if (!packet.has(0, 14)) return std::nullopt;
  std::size_t at = 12;
  for (int tags = 0; tags < 2; ++tags) {
    const unsigned type = packet.at16(at);
    if (type != 0x8100 && type != 0x88a8) break;
    if (!packet.has(at + 2, 4)) return std::nullopt;
    at += 4;
  }
  return Network{at + 2, packet.at16(at)};
}

constexpr unsigned type_ipv4 = 0x0800, type_ipv6 = 0x86dd;

std::optional<Place> find(const Octets& packet) {
  const auto net = network(packet);
  if (net && net->type == type_ipv4) return in_ipv4(packet, net->at);
  if (net && net->type == type_ipv6) return in_ipv6(packet, net->at);
  return std::nullopt;
}

/// What a tunnel's packet holds.
struct Inner {
  std::size_t header = 0;  ///< of the frame
  std::size_t outer = 0;   ///< octets
  unsigned type = 0;       ///< EtherType of what is inside
  Place place;
};

std::optional<Inner> inside(const Octets& packet, const std::set<IpAddress>& senders) {
  const auto net = network(packet);
  if (!net || (net->type != type_ipv4 && net->type != type_ipv6)) return std::nullopt;
  const bool v4 = net->type == type_ipv4;
  Inner out{.header = net->at, .outer = v4 ? 20u : 40u, .place = {.vip = {}}};
  if (!packet.has(net->at, v4 ? 20 : 48) || packet.at(net->at) >> 4 != (v4 ? 4 : 6))
    return std::nullopt;
  if (v4 && ((packet.at(net->at) & 15) != 5 || (packet.at16(net->at + 6) & 0x3fff) != 0))
    return std::nullopt;
  const unsigned protocol = packet.at(net->at + (v4 ? 9 : 6));
  if (protocol != 4 && protocol != 41) return std::nullopt;
  if (!senders.contains(packet.address(net->at + (v4 ? 12 : 8), v4 ? 4 : 16))) return std::nullopt;
  out.type = protocol == 4 ? type_ipv4 : type_ipv6;
  const auto place =
      protocol == 4 ? in_ipv4(packet, net->at + out.outer) : in_ipv6(packet, net->at + out.outer);
  if (!place) return std::nullopt;
  out.place = *place;
  return out;
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

/// One hop less; false without one left. The checksum is computed anew: what was wrong before stays
/// as wrong.
bool age(const Place& place, Bytes& packet) {
  std::uint8_t& ttl = packet[place.ip + (place.v4 ? 8 : 7)];
  if (ttl <= 1) return false;
  --ttl;
  if (!place.v4) return true;
  const unsigned sum =
      static_cast<unsigned>(packet[place.ip + 10] << 8 | packet[place.ip + 11]) + 0x0100;
  const unsigned folded = sum >= 0xffff ? sum + 1 - 0x10000 : sum;
  packet[place.ip + 10] = static_cast<std::uint8_t>(folded >> 8);
  packet[place.ip + 11] = static_cast<std::uint8_t>(folded);
  return true;
}

void readdress(Bytes& packet, const model::MacAddress& mac) {
  std::copy_n(packet.begin(), 6, packet.begin() + 6);
  std::ranges::copy(mac.octets, packet.begin());
}

/// One hop further, to `mac`.
Judgement send(const Place& place, const Bytes& packet, const model::MacAddress& mac) {
  Judgement out{Verdict::send, QS_STEERED, packet};
  if (!age(place, out.packet)) return {Verdict::drop, QS_TTL_EXPIRED, packet};
  readdress(out.packet, mac);
  return out;
}

void set_type(Bytes& packet, std::size_t header, unsigned type) {
  packet[header - 2] = static_cast<std::uint8_t>(type >> 8);
  packet[header - 1] = static_cast<std::uint8_t>(type);
}

/// The same by a tunnel.
Judgement send(const Place& place, const Bytes& packet, const model::MacAddress& next_hop,
               const model::SteerTunnel& tunnel) {
  const Octets octets(packet);
  if (!octets.has(place.ip, 40)) return {Verdict::pass, QS_TOO_SHORT, packet};
  const std::size_t length =
      place.v4 ? octets.at16(place.ip + 2) : octets.at16(place.ip + 4) + std::size_t{40};
  if (!octets.has(place.ip, length)) return {Verdict::pass, QS_TOO_SHORT, packet};
  const bool v4 = tunnel.source.is_v4();
  if (length + (v4 ? 20 : 40) > tunnel.mtu) return {Verdict::pass, QS_TOO_BIG, packet};
  Judgement out{Verdict::send, QS_STEERED, packet};
  if (!age(place, out.packet)) return {Verdict::drop, QS_TTL_EXPIRED, packet};
  readdress(out.packet, next_hop);
  set_type(out.packet, place.ip, v4 ? type_ipv4 : type_ipv6);
  const Bytes header = outer_header(tunnel.source, tunnel.destination, length,
                                    place.v4 ? std::uint8_t{4} : std::uint8_t{41});
  out.packet.insert(out.packet.begin() + static_cast<std::ptrdiff_t>(place.ip), header.begin(),
                    header.end());
  return out;
}

/// What could not be read: out of a peer's tunnel, or as it is.
Judgement judge_strange(const World& world, const Bytes& packet) {
  const auto inner = inside(Octets(packet), world.senders());
  if (!inner || !world.state.services.contains(inner->place.vip) ||
      !world.self.contains(mac_at(packet, 0)))
    return {Verdict::pass, std::nullopt, packet};
  Judgement out{Verdict::pass, QS_UNWRAPPED, packet};
  const auto at = out.packet.begin() + static_cast<std::ptrdiff_t>(inner->header);
  out.packet.erase(at, at + static_cast<std::ptrdiff_t>(inner->outer));
  set_type(out.packet, inner->header, inner->type);
  return out;
}

}  // namespace

std::set<IpAddress> World::senders() const {
  std::set<IpAddress> out;
  for (const auto& [id, target] : state.servers)
    if (target.tunnel) out.insert(target.tunnel->destination);
  return out;
}

Judgement judge(const World& world, const Bytes& packet) {
  const auto place = find(Octets(packet));
  if (!place) return judge_strange(world, packet);
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
  if (target->second.tunnel)
    return send(*place, packet, target->second.mac, *target->second.tunnel);
  return send(*place, packet, target->second.mac);
}

}  // namespace lbctl::tests
