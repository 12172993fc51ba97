#pragma once

#include <ngtcp2/ngtcp2.h>

#include <cstdint>
#include <optional>
#include <span>

#include "common/address.hpp"
#include "h3/cid.hpp"

namespace peer {

// The packets that a server sends without a connection. Empty: none is to be sent.

/// Names the versions that this server speaks, to a client that asked for another one.
Octets version_negotiation_packet(const ngtcp2_version_cid& received);

/// For a short header packet of this size whose connection ID nobody knows (RFC 9000, 10.3): always
/// smaller than that packet, so that two endpoints cannot keep on resetting each other.
Octets stateless_reset_packet(std::span<const std::uint8_t> secret,
                              std::span<const std::uint8_t> dcid, std::size_t received_size);

/// Asks the client to come again, to a connection ID that names this server.
Octets retry_packet(std::span<const std::uint8_t> secret, const ngtcp2_pkt_hd& initial,
                    const SocketAddress& remote, const ngtcp2_cid& retry_scid);
/// The client's first destination connection ID, if the token is ours, fresh and for this client.
std::optional<ngtcp2_cid> verify_retry_token(std::span<const std::uint8_t> secret,
                                             const ngtcp2_pkt_hd& initial,
                                             const SocketAddress& remote);

}  // namespace peer
