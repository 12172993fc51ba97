// One real server's tables, and what it does with a packet.
#pragma once

#include <doctest/doctest.h>

#include <utility>

#include "steering.hpp"

namespace lbctl::tests {

using kernel::XdpCounters;
using model::CidScheme;
using model::Port;
using model::ServerId;

inline constexpr CidScheme usual{.config = 0, .id_length = 2, .nonce_length = 6};
inline const auto self = mac("02:00:00:00:00:01");
inline const auto peer = mac("02:00:00:00:00:02");

/// This server is id 1, a peer id 2 (0x0102 too), and id 3 has no MAC address yet.
struct Table {
  Table() {
    auto& tables = steering.tables();
    for (const char* vip : {"192.0.2.100", "2001:db8:100::100"})
      REQUIRE(tables.set_service({ip(vip), Port{443}}, {{usual}}));
    REQUIRE(tables.set_server(ServerId{1}, {.local = true, .mac = {}}));
    REQUIRE(tables.set_server(ServerId{2}, {.local = false, .mac = peer}));
    REQUIRE(tables.set_server(ServerId{0x0102}, {.local = false, .mac = peer}));
    REQUIRE(tables.set_server(ServerId{3}, {.local = false, .mac = {}}));
    REQUIRE(tables.set_self({self}));
  }

  void passes(const Frame& frame, const XdpCounters& counted) {
    const Bytes in = frame.bytes();
    const Answer answer = steering.run(in);
    CHECK(answer.verdict == "PASS");
    CHECK(answer.bytes == in);
    CHECK(answer.counted == counted);
  }

  /// Dropped, whatever it looks like then.
  void drops(const Frame& frame, const XdpCounters& counted) {
    const Answer answer = steering.run(frame.bytes());
    CHECK(answer.verdict == "DROP");
    CHECK(answer.counted == counted);
  }

  /// It leaves for `peer` with our address as its source and one less to live.
  void steers(Frame frame) {
    const Answer answer = steering.run(frame.bytes());
    CHECK(answer.verdict == "TX");
    frame.to = peer;
    frame.from = self;
    --frame.ttl;
    CHECK(answer.bytes == frame.bytes());
    CHECK(answer.counted == XdpCounters{.steered = 1});
  }

  Steering steering;
};

inline Frame with(int version, const Bytes& payload) {
  Frame frame;
  if (version == 6) {
    frame.source = ip("2001:db8:7::7");
    frame.destination = ip("2001:db8:100::100");
  }
  frame.payload = payload;
  return frame;
}

inline const Bytes local_cid = hex("070001aabbccddeeff");
inline const Bytes peer_cid = hex("080002aabbccddeeff");

}  // namespace lbctl::tests
