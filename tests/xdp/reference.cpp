#include "reference.hpp"

#include <algorithm>

#include "lbctl/base/aes.hpp"

namespace lbctl::tests {

namespace {

using model::CidFormat;
using model::CidScheme;
using model::ServerId;
using Nibbles = std::vector<std::uint8_t>;

Nibbles nibbles_of(const Bytes& octets) {
  Nibbles out;
  for (const std::uint8_t octet : octets) {
    out.push_back(octet >> 4);
    out.push_back(octet & 15);
  }
  return out;
}

Bytes octets_of(const Nibbles& nibbles) {
  Bytes out;
  for (std::size_t i = 0; i < nibbles.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(nibbles[i] << 4 | nibbles[i + 1]));
  return out;
}

Bytes part(const Bytes& all, std::size_t from, std::size_t length) {
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(from);
  return {begin, begin + static_cast<std::ptrdiff_t>(length)};
}

/// Network order.
Bytes octets_of(const ServerId& id, std::size_t length) {
  Bytes out(length);
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint64_t word = i < 8 ? id.low : id.high;
    out[length - 1 - i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
  return out;
}

ServerId number_in(const Bytes& octets) {
  ServerId out;
  for (const std::uint8_t octet : octets) {
    out.high = out.high << 8 | out.low >> 56;
    out.low = out.low << 8 | octet;
  }
  return out;
}

/// The pass of QUIC-LB, 5.4.2: the other half, xored with the cipher of this one.
void pass(const Aes128& aes, const Nibbles& from, Nibbles& into, bool from_left, std::size_t length,
          std::uint8_t number) {
  // expand(): the half in whole octets, zeros, the length, the pass.
  Nibbles half = from;
  const bool odd = length % 2 != 0;
  if (odd) half.insert(from_left ? half.end() : half.begin(), 0);
  Bytes block = octets_of(half);
  block.resize(14);
  block.push_back(static_cast<std::uint8_t>(length));
  block.push_back(number);
  Aes128::Block in{};
  std::ranges::copy(block, in.begin());
  const Aes128::Block cipher = aes.encrypt(in);
  Nibbles mask = nibbles_of(Bytes(cipher.begin(), cipher.end()));
  // What is xored begins where the other half begins in its octets: the right one behind a nibble.
  if (odd && from_left) mask.erase(mask.begin());
  for (std::size_t i = 0; i < into.size(); ++i)
    into[i] ^= mask[i];
}

Bytes four_pass(const CidScheme& scheme, const Bytes& block, bool encrypt) {
  const Aes128 aes(scheme.key->octets());
  const Nibbles all = nibbles_of(block);
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(block.size());
  Nibbles left(all.begin(), middle), right(middle, all.end());
  for (std::uint8_t i = 1; i <= 4; ++i) {
    const auto number = static_cast<std::uint8_t>(encrypt ? i : 5 - i);
    const bool from_left = number % 2 != 0;
    pass(aes, from_left ? left : right, from_left ? right : left, from_left, block.size(), number);
  }
  left.insert(left.end(), right.begin(), right.end());
  return octets_of(left);
}

Bytes cipher(const CidScheme& scheme, const Bytes& block, bool encrypt) {
  if (!scheme.encrypted) return block;
  if (block.size() != 16) return four_pass(scheme, block, encrypt);
  const Aes128 aes(scheme.key->octets());
  Aes128::Block in{};
  std::ranges::copy(block, in.begin());
  const Aes128::Block out = encrypt ? aes.encrypt(in) : aes.decrypt(in);
  return {out.begin(), out.end()};
}

bool fits(const CidScheme& scheme, const Bytes& cid, std::size_t length) {
  if (length < scheme.cid_length()) return false;
  switch (scheme.format) {
    case CidFormat::quic_lb:
      return cid[0] >> 5 == scheme.config;
    case CidFormat::katran:
      return cid[0] >> 6 == scheme.version;
    case CidFormat::dpvs:
      return cid[1] >> 5 == scheme.id_length - 1;
    case CidFormat::msquic:
    case CidFormat::raw:
      return true;
  }
  return false;
}

ServerId id_in(const CidScheme& scheme, const Bytes& cid) {
  switch (scheme.format) {
    case CidFormat::quic_lb: {
      const std::size_t length = scheme.id_length + scheme.nonce_length;
      return number_in(part(cipher(scheme, part(cid, 1, length), false), 0, scheme.id_length));
    }
    case CidFormat::msquic: {
      Bytes id = part(cid, 1, 4);
      std::ranges::reverse(id);
      return number_in(id);
    }
    case CidFormat::katran:
      if (scheme.version == 1)
        return {(cid[0] & 0x3fu) << 10 | static_cast<unsigned>(cid[1]) << 2 | cid[2] >> 6};
      return number_in(part(cid, 1, scheme.version + 1u));
    case CidFormat::dpvs: {
      Nibbles nibbles = nibbles_of(cid);
      nibbles.erase(nibbles.begin(), nibbles.begin() + 3);
      nibbles.resize(2u * scheme.id_length);
      ServerId out = number_in(octets_of(nibbles));
      out.space = scheme.id_length == 3 ? model::IdSpace::ipv4 : model::IdSpace::ipv6;
      return out;
    }
    case CidFormat::raw:
      return number_in(part(cid, scheme.offset, scheme.id_length));
  }
  return {};
}

}  // namespace

Bytes encode_cid(const CidScheme& scheme, const ServerId& id, const Bytes& random) {
  Bytes out = part(random, 0, scheme.cid_length());
  const auto put = [&](const Bytes& octets, std::size_t at) {
    std::ranges::copy(octets, out.begin() + static_cast<std::ptrdiff_t>(at));
  };
  switch (scheme.format) {
    case CidFormat::quic_lb:
      out[0] = static_cast<std::uint8_t>(scheme.config << 5 | (out[0] & 0x1f));
      put(octets_of(id, scheme.id_length), 1);
      put(cipher(scheme, part(out, 1, out.size() - 1), true), 1);
      break;
    case CidFormat::msquic: {
      Bytes octets = octets_of(id, 4);
      std::ranges::reverse(octets);
      put(octets, 1);
      break;
    }
    case CidFormat::katran:
      if (scheme.version == 1) {
        out[0] = static_cast<std::uint8_t>(0x40 | id.low >> 10);
        out[1] = static_cast<std::uint8_t>(id.low >> 2);
        out[2] = static_cast<std::uint8_t>(id.low << 6 | (out[2] & 0x3f));
      } else {
        out[0] = static_cast<std::uint8_t>(scheme.version << 6 | (out[0] & 0x3f));
        put(octets_of(id, scheme.version + 1u), 1);
      }
      break;
    case CidFormat::dpvs: {
      Nibbles nibbles = nibbles_of(out);
      const auto length = static_cast<std::uint8_t>((scheme.id_length - 1) << 1);
      nibbles[2] = static_cast<std::uint8_t>(length | (nibbles[2] & 1));
      std::ranges::copy(nibbles_of(octets_of(id, scheme.id_length)), nibbles.begin() + 3);
      out = octets_of(nibbles);
      break;
    }
    case CidFormat::raw:
      put(octets_of(id, scheme.id_length), scheme.offset);
      break;
  }
  return out;
}

std::optional<ServerId> decode_cid(const model::CidSchemes& schemes, const Bytes& readable,
                                   std::size_t length) {
  for (const CidScheme& scheme : schemes)
    if (fits(scheme, readable, length)) return id_in(scheme, readable);
  return std::nullopt;
}

}  // namespace lbctl::tests
