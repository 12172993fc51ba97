// Connection ID schemes for tests.
#pragma once

#include <algorithm>
#include <vector>

#include "lbctl/model/xdp.hpp"
#include "packet.hpp"

namespace lbctl::tests {

inline model::CidKey key_of(const Bytes& octets) {
  model::CidKey::Octets key{};
  std::copy_n(octets.begin(), key.size(), key.begin());
  return model::CidKey(key);
}

inline const model::CidKey some_key = key_of(hex("8f95f09245765f80256934e50c66207f"));

inline model::CidScheme quic_lb(unsigned config, unsigned id, unsigned nonce) {
  return {.config = static_cast<std::uint8_t>(config),
          .id_length = static_cast<std::uint8_t>(id),
          .nonce_length = static_cast<std::uint8_t>(nonce)};
}

inline model::CidScheme encrypted(unsigned config, unsigned id, unsigned nonce,
                                  const model::CidKey& key = some_key) {
  auto out = quic_lb(config, id, nonce);
  out.encrypted = true;
  out.key = key;
  return out;
}

inline model::CidScheme msquic() {
  return {.format = model::CidFormat::msquic};
}

inline model::CidScheme katran(unsigned version) {
  return {.format = model::CidFormat::katran, .version = static_cast<std::uint8_t>(version)};
}

/// `octets` of the server's address: 3 or 4.
inline model::CidScheme dpvs(unsigned octets) {
  return {.id_length = static_cast<std::uint8_t>(octets), .format = model::CidFormat::dpvs};
}

inline model::CidScheme raw(unsigned offset, unsigned id, unsigned length) {
  return {.id_length = static_cast<std::uint8_t>(id),
          .format = model::CidFormat::raw,
          .offset = static_cast<std::uint8_t>(offset),
          .length = static_cast<std::uint8_t>(length)};
}

/// Every one there is: all lengths of QUIC-LB, plain and encrypted, every version and place.
inline std::vector<model::CidScheme> all_schemes() {
  std::vector<model::CidScheme> out = {msquic(), dpvs(3), dpvs(4)};
  for (unsigned version = 1; version <= 3; ++version)
    out.push_back(katran(version));
  for (unsigned id = 1; id <= 15; ++id)
    for (unsigned nonce = 4; id + nonce <= 19; ++nonce) {
      out.push_back(quic_lb((id + nonce) % 7, id, nonce));
      out.push_back(encrypted((id + nonce) % 7, id, nonce));
    }
  for (unsigned id = 1; id <= 8; ++id)
    for (unsigned offset = 0; offset + id <= 20; ++offset)
      out.push_back(raw(offset, id, offset + id));
  return out;
}

/// An id with every octet in use that the scheme has room for.
inline model::ServerId some_id(const model::CidScheme& scheme) {
  const auto layout = model::layout(scheme).value();
  model::ServerId out{0xa1b2c3d4e5f60718, 0x00192a3b4c5d6e7f, layout.space};
  if (layout.id_bits <= 64) {
    out.low >>= 64 - layout.id_bits;
    out.high = 0;
  } else {
    out.high = out.high << 8 >> (128 - layout.id_bits);
  }
  return out;
}

}  // namespace lbctl::tests
