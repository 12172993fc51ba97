// The test vectors of draft-ietf-quic-load-balancers-21, appendix B.
#pragma once

#include "lbctl/model/cid.hpp"
#include "packet.hpp"

namespace lbctl::tests {

struct Vector {
  model::CidScheme scheme;
  model::ServerId id;
  Bytes nonce, cid;
};

std::vector<Vector> vectors();

}  // namespace lbctl::tests
