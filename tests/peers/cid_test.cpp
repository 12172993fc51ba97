#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "common/fd.hpp"
#include "h3/cid.hpp"

using peer::CidFormat;
using peer::parse_hex;
using peer::to_hex;

namespace {

/// What the scheme claims of a connection ID of zeros.
std::string made(std::string_view layout, std::string_view id) {
  const auto format = CidFormat::parse(layout, id);
  REQUIRE_MESSAGE(format.has_value(), format.error());
  const auto cid = format->make(peer::Octets(LBCTL_CID_LONGEST));
  CHECK(format->is_own(cid));
  return to_hex(cid);
}

std::string complaint(std::string_view layout, std::string_view id) {
  return CidFormat::parse(layout, id).error();
}

}  // namespace

TEST_CASE("cid: every scheme has its id where the balancers look for it") {
  CHECK(made(R"({ scheme = "quic-lb" })", "5") == "080005000000000000");
  CHECK(made(R"({scheme="quic-lb",config=6,id_length=1,nonce_length=4})", "5") == "c50500000000");
  CHECK(made(R"({ scheme = "aws-nlb" })", "258") == "0f000000000000010200000000000000");
  CHECK(made(R"({ scheme = "msquic" })", "258") == "0002010000000000000000000000");
  CHECK(made(R"({ scheme = "katran" })", "5") == "4001400000000000");
  CHECK(made(R"({ scheme = "katran", version = 2 })", "5") == "8000000500000000");
  CHECK(made(R"({ scheme = "katran", version = 3 })", "5") == "c000000005000000");
  CHECK(made(R"({ scheme = "dpvs" })", "192.0.2.11") == "00400020b000000000");
  CHECK(made(R"({ scheme = "dpvs" })", "2001:db8::1:b") == "0060001000b000000000");
  CHECK(made(R"({ scheme = "raw", offset = 3, length = 8 })", "5") == "0000000005000000");
}

// Vectors of draft-ietf-quic-load-balancers-21: four passes, and a single one.
TEST_CASE("cid: encrypted ones are those of the draft") {
  char path[] = "/tmp/lbctl-key-XXXXXX";
  const peer::Fd file(mkstemp(path));
  REQUIRE(file);
  std::ofstream(path) << "8f95f09245765f80256934e50c66207f\n";
  const auto encrypted = [&](const std::string& layout, std::string_view id,
                             std::string_view nonce) {
    const auto format = CidFormat::parse(
        R"({ scheme = "quic-lb", key_file = ")" + std::string(path) + "\", " + layout + " }", id);
    REQUIRE_MESSAGE(format.has_value(), format.error());
    const auto cid = format->make(*parse_hex(nonce));
    CHECK(format->is_own(cid));
    return to_hex(cid);
  };
  CHECK(encrypted("config = 0, id_length = 3, nonce_length = 4", "15563066", "00000000ee080dbf") ==
        "0720b1d07b359d3c");
  CHECK(encrypted("config = 2, id_length = 8, nonce_length = 8", "17111772382304636767",
                  "000000000000000000ee080dbf48c0d1e5") == "504dd2d05a7b0de9b2b9907afb5ecf8cc3");
  std::remove(path);
}

TEST_CASE("cid: what cannot be is refused") {
  CHECK(complaint("quic-lb", "5") == "'quic-lb' is no table in braces");
  CHECK(complaint("{ scheme }", "5") == "' scheme ' is no KEY = VALUE");
  CHECK(complaint("{ config = 1 }", "5") == "no scheme in '{ config = 1 }'");
  CHECK(complaint(R"({ scheme = "quic-lb", config = 7 })", "5") ==
        R"('{ scheme = "quic-lb", config = 7 }' is impossible)");
  CHECK(complaint(R"({ scheme = "quic-lb", config = x })", "5") == "config: 'x' is not 0 to 255");
  CHECK(complaint(R"({ scheme = "quic-lb", nonce = 7 })", "5") == "unknown key 'nonce'");
  CHECK(complaint(R"({ scheme = "quic-lb" })", "0") == "'0' is no server id");
  CHECK(complaint(R"({ scheme = "dpvs" })", "5") == "'5' is no address");
  CHECK(complaint(R"({ scheme = "quic-lb", key_file = "/dev/null" })", "5") ==
        "/dev/null: not 32 hexadecimal digits");
}

TEST_CASE("cid: a server knows its own connection IDs from all others") {
  const auto format = CidFormat::parse(R"({ scheme = "quic-lb", config = 1 })", "2");
  CHECK(format->is_own(*parse_hex("280002a1a2a3a4a5a6")));
  CHECK_FALSE(format->is_own(*parse_hex("280003a1a2a3a4a5a6")));    // another server
  CHECK_FALSE(format->is_own(*parse_hex("080002a1a2a3a4a5a6")));    // another config
  CHECK_FALSE(format->is_own(*parse_hex("280002a1a2a3a4a5a6a7")));  // another length
  CHECK_FALSE(format->is_own({}));
}
