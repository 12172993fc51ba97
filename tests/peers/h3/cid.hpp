#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace peer {

using Octets = std::vector<std::uint8_t>;

/// How the connection IDs of one server look: QUIC-LB plaintext
/// (draft-ietf-quic-load-balancers-21, no key): 3 config bits and the length of the rest in
/// the first octet, then the server id, then a nonce.
struct CidFormat {
  unsigned config = 0;           // 0..6; 7 is the draft's "unroutable"
  Octets server_id;              // at least 1 octet
  std::size_t nonce_length = 6;  // at least 4; with the server id at most 19

  std::size_t length() const { return 1 + server_id.size() + nonce_length; }
};

/// Checks the limits; the error is a sentence.
std::expected<CidFormat, std::string> make_cid_format(std::uint64_t config,
                                                      std::string_view server_id_hex,
                                                      std::uint64_t nonce_length);

/// The connection ID with this nonce, which must have format.nonce_length octets.
Octets encode_cid(const CidFormat& format, std::span<const std::uint8_t> nonce);
/// Whether a connection ID is one that this server could have issued.
bool is_own_cid(const CidFormat& format, std::span<const std::uint8_t> cid);

std::expected<Octets, std::string> parse_hex(std::string_view text);
std::string to_hex(std::span<const std::uint8_t> octets);

}  // namespace peer
