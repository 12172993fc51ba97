// The draft's test vectors, through the program (draft-ietf-quic-load-balancers-21, appendix B).
#include <doctest/doctest.h>

#include <toml.hpp>

#include "steering.hpp"

namespace lbctl::tests {

TEST_CASE("plaintext vectors are steered to the server that they name") {
  const auto file = toml::parse(LBCTL_SOURCE_DIR "/tests/data/quic-lb-vectors.toml");
  const auto& vectors = toml::find<toml::array>(file, "plaintext");
  REQUIRE(vectors.size() == 2);
  Steering steering;
  auto& tables = steering.tables();
  const auto peer = mac("02:00:00:00:00:02");
  REQUIRE(tables.set_self({mac("02:00:00:00:00:01")}));
  for (const auto& vector : vectors) {
    const auto cid = hex(toml::find<std::string>(vector, "cid"));
    const auto id = hex(toml::find<std::string>(vector, "server_id"));
    const auto nonce = hex(toml::find<std::string>(vector, "nonce"));
    std::uint64_t number = 0;
    for (const std::uint8_t octet : id)
      number = number << 8 | octet;
    REQUIRE(
        tables.set_service({ip("192.0.2.100"), model::Port{443}},
                           {.config = static_cast<std::uint8_t>(toml::find<int>(vector, "config")),
                            .id_length = static_cast<std::uint8_t>(id.size()),
                            .nonce_length = static_cast<std::uint8_t>(nonce.size())}));
    Frame frame;
    for (const Bytes& payload : {short_packet(cid, 20), long_packet(cid)}) {
      frame.payload = payload;
      CHECK(steering.run(frame.bytes()).counted == kernel::XdpCounters{.unknown_id = 1});
    }
    REQUIRE(tables.set_server(model::ServerId{number}, {.local = false, .mac = peer}));
    for (const Bytes& payload : {short_packet(cid, 20), long_packet(cid)}) {
      frame.payload = payload;
      CHECK(steering.run(frame.bytes()).verdict == "TX");
    }
  }
}

}  // namespace lbctl::tests
