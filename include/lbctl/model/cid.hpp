// QUIC connection IDs that name their server: who lays them out how, and where the server id is.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lbctl/base/aes.hpp"
#include "lbctl/model/address.hpp"

namespace lbctl::model {

/// Server ids of different spaces are different servers.
enum class IdSpace : std::uint8_t {
  number,  ///< the server's id in the file
  ipv4,    ///< the last octets of its address, as dpvs has them
  ipv6,
};

/// As it stands in connection IDs: 1..2^120-1. 0 is reserved (a zeroed connection ID must not name
/// a server).
struct ServerId {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  IdSpace space = IdSpace::number;

  bool is_zero() const { return low == 0 && high == 0; }
  /// How many bits it takes.
  int bits() const;
  /// "5", from 2^63 on "0x8000000000000000"; "ipv4 0x00020b".
  std::string text() const;
  /// Of the space `number`: what text() gives, or 0x and at most 30 hexadecimal digits.
  static std::optional<ServerId> parse(std::string_view text);

  friend bool operator==(const ServerId&, const ServerId&) = default;
  friend std::strong_ordering operator<=>(const ServerId& a, const ServerId& b) {
    if (a.space != b.space) return a.space <=> b.space;
    if (a.high != b.high) return a.high <=> b.high;
    return a.low <=> b.low;
  }
};

/// By which dpvs knows the server with this address: its last 3 octets, of IPv6 the last 4.
ServerId address_id(const IpAddress& address);

/// An AES-128 key. Every copy of it is wiped when it goes; it is never printed.
class CidKey {
 public:
  using Octets = std::array<std::uint8_t, 16>;
  explicit CidKey(const Octets& octets) : octets_(octets) {}
  CidKey(const CidKey&) = default;
  CidKey& operator=(const CidKey&) = default;
  ~CidKey() { wipe(octets_.data(), octets_.size()); }

  const Octets& octets() const { return octets_; }
  /// Tells keys apart without telling the key: 6 hexadecimal digits of what a block of zeros is
  /// enciphered to (the key check value of ANSI X9.24).
  std::string check() const;
  friend bool operator==(const CidKey&, const CidKey&) = default;

 private:
  Octets octets_;
};

enum class CidFormat : std::uint8_t {
  quic_lb,  ///< draft-ietf-quic-load-balancers-21
  msquic,   ///< its mode FIXED: the server id of 4 octets stands reversed
  katran,   ///< mvfst
  dpvs,     ///< the last octets of the server's address
  raw,      ///< an id at a fixed place
};
std::string_view name(CidFormat format);

inline constexpr int longest_cid = 20;        ///< octets: RFC 9000, 17.2
inline constexpr int longest_server_id = 15;  ///< octets: QUIC-LB

/// One kind of connection ID. Lengths in octets; what a format does not name it does not use.
struct CidScheme {
  std::uint8_t config = 0;  ///< quic_lb: 0..6 (0b111 is never routable)
  /// quic_lb: 1..15; raw: 1..8; dpvs: 3 for IPv4 addresses, 4 for IPv6.
  std::uint8_t id_length = 2;
  std::uint8_t nonce_length = 6;  ///< quic_lb: 4..18; 1 + id + nonce <= 20
  CidFormat format = CidFormat::quic_lb;
  std::uint8_t version = 0;   ///< katran: 1..3
  std::uint8_t offset = 0;    ///< raw: where the id begins
  std::uint8_t length = 0;    ///< raw: of the connection ID, at least offset + id_length
  bool encrypted = false;     ///< quic_lb
  std::optional<CidKey> key;  ///< none: not known here (or not encrypted)

  /// Of the shortest connection ID that is one of these.
  std::uint8_t cid_length() const;
  friend bool operator==(const CidScheme&, const CidScheme&) = default;
};

/// Where a format has what. Bits count from the highest of octet 0.
struct CidLayout {
  std::uint16_t match_mask = 0;  ///< over octets 0 and 1; octet 0 in the high place
  std::uint16_t match_value = 0;
  int cid_length = 0;
  int id_bit = 0;         ///< of the deciphered connection ID
  int id_bits = 0;        ///< of which the server id takes so many
  bool reversed = false;  ///< lowest octet first
  int block_length = 0;   ///< octets, from octet 1 on, that are enciphered; 0: none
  IdSpace space = IdSpace::number;
};

/// Nothing for a scheme outside of the limits that CidScheme names.
std::optional<CidLayout> layout(const CidScheme& scheme);

/// Whether every connection ID that fits `later` fits `earlier`, too: then `later` is never asked.
bool shadows(const CidScheme& earlier, const CidScheme& later);

}  // namespace lbctl::model
