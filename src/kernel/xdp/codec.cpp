#include "codec.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace lbctl::kernel::xdp {

namespace {

model::MacAddress mac_of(__u64 word) {
  model::MacAddress mac;
  std::memcpy(mac.octets.data(), &word, mac.octets.size());
  return mac;
}

}  // namespace

VipLayout::Key encode(const model::SteeredKey& key) {
  VipLayout::Key out;
  const auto octets = key.address.octets();
  if (key.address.is_v4()) {
    __u32 address = 0;
    std::memcpy(&address, octets.data(), sizeof address);
    out.addr[1] = address;
  } else {
    std::memcpy(out.addr, octets.data(), sizeof out.addr);
  }
  out.port_family =
      QS_PORT_FAMILY(htons(model::number(key.port)), key.address.is_v4() ? QS_V4 : QS_V6);
  return out;
}

model::SteeredKey decode(const VipLayout::Key& key) {
  std::uint8_t octets[sizeof key.addr];
  const bool is_v4 = key.port_family >> 16 == QS_V4;
  std::memcpy(octets, is_v4 ? &key.addr[1] : &key.addr[0], is_v4 ? 4 : sizeof octets);
  return {model::IpAddress::from_octets({octets, is_v4 ? 4u : 16u}).value_or(model::IpAddress{}),
          model::Port{ntohs(static_cast<std::uint16_t>(key.port_family))}};
}

Result<ServerLayout::Key> encode(const model::ServerId& id) {
  if (id.is_zero() || id.bits() > 8 * model::longest_server_id)
    return fail(Errc::invalid, fmt::format("{} is not a server id (1..2^120-1)", id.text()));
  return ServerLayout::Key{{id.low, id.high}, static_cast<__u8>(id.space)};
}

Result<model::ServerId> decode(const ServerLayout::Key& key) {
  const model::ServerId id{key.id.low, key.id.high, model::IdSpace{key.space}};
  if (id.space > model::IdSpace::ipv6)
    return fail(Errc::conflict, fmt::format("server id {} is not one that this lbctl writes",
                                            model::ServerId{id.low, id.high}.text()));
  return id;
}

__u64 mac_word(const model::MacAddress& mac) {
  __u64 word = 0;
  std::memcpy(&word, mac.octets.data(), mac.octets.size());
  return QS_MAC_WORD(word);
}

__u64 encode(const model::SteerTarget& target) {
  // The program does not look at a local server's operand; it is kept so that what is read back
  // equals what was written.
  const __u64 kind = target.local           ? QS_TO_LOCAL
                     : target.mac.is_zero() ? QS_TO_UNRESOLVED
                                            : QS_TO_PEER;
  __u64 operand = 0;
  std::memcpy(&operand, target.mac.octets.data(), target.mac.octets.size());
  return kind << QS_KIND_SHIFT | operand;
}

Result<qs_tunnel> encode(const model::SteerTunnel& tunnel, const model::MacAddress& next_hop) {
  if (tunnel.source.family() != tunnel.destination.family() || tunnel.mtu < 576 ||
      tunnel.mtu > 65535)
    return fail(Errc::invalid,
                fmt::format("no tunnel can go from {} to {} with an MTU of {}",
                            tunnel.source.text(), tunnel.destination.text(), tunnel.mtu));
  const VipLayout::Key source = encode(model::SteeredKey{tunnel.source, model::Port{0}});
  const VipLayout::Key destination = encode(model::SteeredKey{tunnel.destination, model::Port{0}});
  qs_tunnel out{};
  std::memcpy(&out.mac, next_hop.octets.data(), next_hop.octets.size());
  std::ranges::copy(source.addr, out.source);
  std::ranges::copy(destination.addr, out.destination);
  out.family = source.port_family >> 16;
  out.mtu = tunnel.mtu;
  return out;
}

model::SteerTarget decode(const qs_tunnel& tunnel) {
  const auto address = [&](const __u64(&words)[2]) {
    return decode(VipLayout::Key{{words[0], words[1]}, QS_PORT_FAMILY(0, tunnel.family)}).address;
  };
  return {.local = false,
          .mac = mac_of(tunnel.mac),
          .tunnel =
              model::SteerTunnel{address(tunnel.source), address(tunnel.destination), tunnel.mtu}};
}

Result<model::SteerTarget> decode(__u64 target) {
  switch ((target & QS_KIND) >> QS_KIND_SHIFT) {
    case QS_TO_LOCAL:
    case QS_TO_PEER:
    case QS_TO_UNRESOLVED:
      return model::SteerTarget{
          .local = (target & QS_KIND) >> QS_KIND_SHIFT == QS_TO_LOCAL,
          .mac = mac_of(target & QS_OPERAND),
          .tunnel = {},
      };
    default:
      return fail(Errc::conflict, "its target is not one that this lbctl writes");
  }
}

}  // namespace lbctl::kernel::xdp
