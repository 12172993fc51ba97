#include "h3/stateless.hpp"

#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <array>

#include "h3/connection.hpp"
#include "h3/tls.hpp"

namespace peer {
namespace {

constexpr std::size_t packet_room = 1200;
constexpr auto token_lifetime = 10 * NGTCP2_SECONDS;

Octets trimmed(Octets packet, ngtcp2_ssize written) {
  packet.resize(written > 0 ? static_cast<std::size_t>(written) : 0);
  return packet;
}

}  // namespace

Octets version_negotiation_packet(const ngtcp2_version_cid& received) {
  const std::array<std::uint32_t, 1> spoken = {NGTCP2_PROTO_VER_V1};
  std::array<std::uint8_t, 1> random;
  fill_random(random);
  Octets packet(packet_room);
  return trimmed(
      packet, ngtcp2_pkt_write_version_negotiation(packet.data(), packet.size(), random[0],
                                                   received.scid, received.scidlen, received.dcid,
                                                   received.dcidlen, spoken.data(), spoken.size()));
}

Octets stateless_reset_packet(std::span<const std::uint8_t> secret,
                              std::span<const std::uint8_t> dcid, std::size_t received_size) {
  constexpr std::size_t smallest =
      NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN;
  if (received_size <= smallest) return {};
  ngtcp2_cid cid;
  ngtcp2_cid_init(&cid, dcid.data(), dcid.size());
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> token;
  if (ngtcp2_crypto_generate_stateless_reset_token(token.data(), secret.data(), secret.size(),
                                                   &cid) != 0)
    return {};
  Octets random(std::min<std::size_t>(received_size - 1 - token.size(), 26));
  fill_random(random);
  Octets packet(packet_room);
  return trimmed(packet,
                 ngtcp2_pkt_write_stateless_reset(packet.data(), packet.size(), token.data(),
                                                  random.data(), random.size()));
}

Octets retry_packet(std::span<const std::uint8_t> secret, const ngtcp2_pkt_hd& initial,
                    const SocketAddress& remote, const ngtcp2_cid& retry_scid) {
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
  const auto length = ngtcp2_crypto_generate_retry_token(
      token.data(), secret.data(), secret.size(), initial.version, remote.get(), remote.length,
      &retry_scid, &initial.dcid, now());
  if (length < 0) return {};
  Octets packet(packet_room);
  return trimmed(packet, ngtcp2_crypto_write_retry(packet.data(), packet.size(), initial.version,
                                                   &initial.scid, &retry_scid, &initial.dcid,
                                                   token.data(), static_cast<std::size_t>(length)));
}

std::optional<ngtcp2_cid> verify_retry_token(std::span<const std::uint8_t> secret,
                                             const ngtcp2_pkt_hd& initial,
                                             const SocketAddress& remote) {
  ngtcp2_cid original;
  if (ngtcp2_crypto_verify_retry_token(&original, initial.token.base, initial.token.len,
                                       secret.data(), secret.size(), initial.version, remote.get(),
                                       remote.length, &initial.dcid, token_lifetime, now()) != 0)
    return std::nullopt;
  return original;
}

}  // namespace peer
