// Connection IDs by the book, nibble by nibble: what the XDP program reads is compared with this.
// It shares nothing with the program or with model::layout(), but AES (a slow one).
#pragma once

#include <optional>

#include "lbctl/model/xdp.hpp"
#include "packet.hpp"

namespace lbctl::tests {

/// A connection ID of this server. `random`: 20 octets, for all that the scheme leaves open.
Bytes encode_cid(const model::CidScheme& scheme, const model::ServerId& id, const Bytes& random);

/// The server id in a connection ID of which `length` octets are known to be it; `readable` has 20.
/// Nothing if no scheme fits.
std::optional<model::ServerId> decode_cid(const model::CidSchemes& schemes, const Bytes& readable,
                                          std::size_t length);

}  // namespace lbctl::tests
