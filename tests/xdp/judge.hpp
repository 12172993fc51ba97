// The decision table of QUIC steering once more, slowly, over maps and octets: what the XDP program
// does with a packet is compared with this.
#pragma once

#include <optional>
#include <set>

#include "lbctl/model/xdp.hpp"
#include "packet.hpp"
#include "quic_steer.h"

namespace lbctl::tests {

struct World {
  model::XdpState state;
  std::set<model::MacAddress> self, peers;
  /// The addresses that tunnelled packets may come from.
  std::set<model::IpAddress> senders() const;
};

enum class Verdict : std::uint8_t { pass, drop, send };

struct Judgement {
  Verdict verdict = Verdict::pass;
  std::optional<qs_outcome> counted;
  Bytes packet;
  friend bool operator==(const Judgement&, const Judgement&) = default;
};

Judgement judge(const World& world, const Bytes& packet);

}  // namespace lbctl::tests
