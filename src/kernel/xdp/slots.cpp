// Connection ID schemes as the program's slots, and back.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "codec.hpp"

namespace lbctl::kernel::xdp {

namespace {

using model::CidFormat;
using model::CidLayout;
using model::CidScheme;

constexpr int octet = 8;
constexpr int single_pass = 16;    ///< octets: one block
constexpr int last_id_octet = 12;  ///< from where 8 octets still are in the connection ID

/// Where the id is read as 8 octets.
void place_in_word(const CidLayout& layout, qs_slot& slot) {
  slot.reading = layout.reversed ? QS_REVERSED : QS_PLAIN;
  slot.id_octet = static_cast<__u8>(std::min(layout.id_bit / octet, last_id_octet));
  slot.id_shl = static_cast<__u8>(layout.id_bit - octet * slot.id_octet);
  slot.id_shr = static_cast<__u8>(64 - layout.id_bits);
}

/// Where it is read as a block of 16 octets, which it begins.
void place_in_block(const CidLayout& layout, qs_slot& slot) {
  slot.reading = QS_BLOCK;
  slot.id_shr = static_cast<__u8>(128 - layout.id_bits);
  slot.block_length = static_cast<__u8>(layout.block_length);
  if (layout.block_length == 0) return;
  slot.reading = layout.block_length == single_pass ? QS_AES_SINGLE : QS_AES_FOUR_PASS;
  if (slot.reading == QS_AES_SINGLE) return;
  const bool in_left_half = 2 * layout.id_bits <= octet * layout.block_length;
  slot.passes = in_left_half ? 3 : 4;
}

/// Deciphering a single block takes the inverse cipher, four passes the forward one.
void put_key(const model::CidKey& key, qs_slot& slot) {
  const Aes128 aes(key.octets());
  auto keys = slot.reading == QS_AES_SINGLE ? aes.inverse_round_keys() : aes.round_keys();
  std::ranges::copy(keys, slot.round_key);
  wipe(keys.data(), sizeof keys);
}

model::CidKey key_in(const qs_slot& slot) {
  // The inverse cipher ends with the words that the forward one begins with.
  const __u32* words =
      slot.reading == QS_AES_SINGLE ? slot.round_key + QS_ROUND_KEYS - 4 : slot.round_key;
  model::CidKey::Octets octets;
  for (std::size_t i = 0; i < octets.size(); ++i)
    octets[i] = static_cast<std::uint8_t>(words[i / 4] >> (24 - octet * (i % 4)));
  const model::CidKey out(octets);
  wipe(octets.data(), octets.size());
  return out;
}

Result<qs_slot> slot_for(const CidScheme& scheme) {
  const auto layout = model::layout(scheme);
  if (!layout)
    return fail(Errc::invalid, fmt::format("a {} connection ID with config {}, a server id of {} "
                                           "octets and a nonce of {} is outside of its limits",
                                           name(scheme.format), scheme.config, scheme.id_length,
                                           scheme.nonce_length));
  if (layout->block_length != 0 && !scheme.key)
    return fail(Errc::invalid, "connection IDs are to be deciphered, but there is no key");
  qs_slot slot{};
  slot.match_mask = htons(layout->match_mask);
  slot.match_value = htons(layout->match_value);
  slot.cid_length = static_cast<__u8>(layout->cid_length);
  slot.space = static_cast<__u8>(layout->space);
  slot.peer_tag = QS_PEER_TAG(slot.space);
  slot.scheme = static_cast<__u8>(scheme.format);
  if (layout->block_length == 0 && layout->id_bits <= 64)
    place_in_word(*layout, slot);
  else
    place_in_block(*layout, slot);
  if (layout->block_length != 0) put_key(*scheme.key, slot);
  return slot;
}

/// What slot_for() made it of, if it did.
CidScheme guess(const qs_slot& slot) {
  CidScheme out;
  const unsigned head = ntohs(slot.match_value);
  const int bits =
      (slot.reading == QS_PLAIN || slot.reading == QS_REVERSED ? 64 : 128) - slot.id_shr;
  out.format = static_cast<CidFormat>(slot.scheme);
  switch (out.format) {
    case CidFormat::quic_lb:
      out.config = static_cast<std::uint8_t>(head >> 13);
      out.id_length = static_cast<std::uint8_t>(bits / octet);
      out.nonce_length = static_cast<std::uint8_t>(slot.cid_length - 1 - out.id_length);
      out.encrypted = slot.block_length != 0;
      if (out.encrypted) out.key = key_in(slot);
      break;
    case CidFormat::katran:
      out.version = static_cast<std::uint8_t>(head >> 14);
      break;
    case CidFormat::dpvs:
    case CidFormat::raw:
      out.id_length = static_cast<std::uint8_t>(bits / octet);
      break;
    case CidFormat::msquic:
      break;
  }
  if (out.format == CidFormat::raw) {
    out.offset = static_cast<std::uint8_t>(slot.id_octet + slot.id_shl / octet);
    out.length = slot.cid_length;
  }
  return out;
}

Result<CidScheme> decode(const qs_slot& slot) {
  CidScheme scheme = guess(slot);
  auto expected = slot_for(scheme);
  const bool same = expected && std::memcmp(&*expected, &slot, sizeof slot) == 0;
  if (expected) wipe(expected->round_key, sizeof expected->round_key);
  if (!same)
    return fail(Errc::conflict, "its connection ID scheme is not one that this lbctl writes");
  return scheme;
}

}  // namespace

Result<qs_service> encode(const model::SteeredService& steered) {
  const model::CidSchemes& schemes = steered.cids;
  if (schemes.empty() || schemes.size() > QS_MAX_SLOTS)
    return fail(Errc::invalid, fmt::format("{} connection ID schemes; 1 to {} are possible",
                                           schemes.size(), QS_MAX_SLOTS));
  qs_service service{};
  service.flags =
      (steered.keep_long ? QS_KEEP_LONG : 0) | (steered.drop_unknown ? QS_DROP_UNKNOWN : 0);
  for (const CidScheme& scheme : schemes) {
    auto slot = slot_for(scheme);
    if (!slot) return fail(std::move(slot.error()));
    service.slot[service.nr_slots++] = *slot;
    wipe(slot->round_key, sizeof slot->round_key);
  }
  return service;
}

Result<model::SteeredService> decode(const qs_service& service) {
  if (service.nr_slots == 0 || service.nr_slots > QS_MAX_SLOTS ||
      (service.flags & ~(QS_KEEP_LONG | QS_DROP_UNKNOWN)) != 0)
    return fail(Errc::conflict, "its connection ID schemes are not those of this lbctl");
  model::SteeredService out;
  out.keep_long = (service.flags & QS_KEEP_LONG) != 0;
  out.drop_unknown = (service.flags & QS_DROP_UNKNOWN) != 0;
  for (__u32 i = 0; i < service.nr_slots; ++i) {
    auto scheme = decode(service.slot[i]);
    if (!scheme) return fail(std::move(scheme.error()));
    out.cids.push_back(std::move(*scheme));
  }
  return out;
}

}  // namespace lbctl::kernel::xdp
