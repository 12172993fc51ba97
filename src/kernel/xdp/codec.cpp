#include "codec.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>

namespace lbctl::kernel::xdp {

namespace {

constexpr int config_shift = 5;  ///< of the config bits in a connection ID's first octet
constexpr std::uint8_t config_mask = 0xe0;

/// A mask over CID octets 0 and 1 as the program loads them, from the first octet alone.
__u16 over_first_octet(unsigned octet) {
  return htons(static_cast<std::uint16_t>(octet << 8));
}

model::MacAddress mac_of(__u64 word) {
  model::MacAddress mac;
  std::memcpy(mac.octets.data(), &word, mac.octets.size());
  return mac;
}

bool within_limits(const model::CidScheme& scheme) {
  return scheme.config <= 6 && scheme.id_length >= 1 && scheme.id_length <= 8 &&
         scheme.nonce_length >= 4 && scheme.id_length + scheme.nonce_length < QS_MAX_CID_LEN;
}

qs_slot slot_for(const model::CidScheme& scheme) {
  qs_slot slot{};
  slot.match_mask = over_first_octet(config_mask);
  slot.match_value = over_first_octet(static_cast<unsigned>(scheme.config) << config_shift);
  slot.cid_length = scheme.cid_length();
  slot.cipher = QS_PLAIN;
  slot.block_offset = 1;
  slot.block_length = static_cast<__u8>(scheme.id_length + scheme.nonce_length);
  slot.id_octet = 1;
  slot.id_shl = 0;
  slot.id_shr = static_cast<__u8>(64 - 8 * scheme.id_length);
  return slot;
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

Result<qs_service> encode(const model::CidScheme& scheme) {
  if (!within_limits(scheme))
    return fail(Errc::invalid,
                fmt::format("a connection ID with config {}, a server id of {} octets and a nonce "
                            "of {} is outside of QUIC-LB",
                            scheme.config, scheme.id_length, scheme.nonce_length));
  qs_service service{};
  service.nr_slots = 1;
  service.slot[0] = slot_for(scheme);
  return service;
}

Result<model::CidScheme> decode(const qs_service& service) {
  const qs_slot& slot = service.slot[0];
  model::CidScheme scheme;
  scheme.config = static_cast<std::uint8_t>((ntohs(slot.match_value) >> 8) >> config_shift);
  scheme.id_length = static_cast<std::uint8_t>((64 - slot.id_shr) / 8);
  scheme.nonce_length = static_cast<std::uint8_t>(slot.cid_length - 1 - scheme.id_length);
  const bool same = within_limits(scheme) && service.nr_slots == 1 && service.flags == 0;
  const qs_slot expected = slot_for(scheme);
  if (!same || std::memcmp(&slot, &expected, sizeof slot) != 0)
    return fail(Errc::conflict, "its connection ID scheme is not one that this lbctl writes");
  return scheme;
}

Result<ServerLayout::Key> encode(model::ServerId id) {
  const std::uint64_t value = model::number(id);
  if (value == 0 || value >> 63 != 0)
    return fail(Errc::invalid, fmt::format("{} is not a server id (1..2^63-1)", value));
  return ServerLayout::Key{value, 0};
}

__u64 mac_word(const model::MacAddress& mac) {
  __u64 word = 0;
  std::memcpy(&word, mac.octets.data(), mac.octets.size());
  return word | QS_MAC_USED;
}

__u64 encode(const model::SteerTarget& target) {
  // The program does not look at a local server's operand; it is kept so that what is read back
  // equals what was written.
  const __u64 kind = target.local ? QS_TO_LOCAL : QS_TO_PEER;
  return kind << QS_KIND_SHIFT | (mac_word(target.mac) & QS_OPERAND);
}

Result<model::SteerTarget> decode(ServerLayout::Value target) {
  switch ((target & QS_KIND) >> QS_KIND_SHIFT) {
    case QS_TO_LOCAL:
    case QS_TO_PEER:
      return model::SteerTarget{
          .local = (target & QS_KIND) >> QS_KIND_SHIFT == QS_TO_LOCAL,
          .mac = mac_of(target & QS_OPERAND),
      };
    default:
      return fail(Errc::conflict, "its target is not one that this lbctl writes");
  }
}

}  // namespace lbctl::kernel::xdp
