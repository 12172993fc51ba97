#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "h3/cid.hpp"

using peer::encode_cid;
using peer::is_own_cid;
using peer::make_cid_format;
using peer::parse_hex;
using peer::to_hex;

// Test vectors of draft-ietf-quic-load-balancers-21 for no key. The draft prints the second
// connection ID shifted by a nibble; this is the one that its text describes.
TEST_CASE("cid: the plaintext vectors of the draft") {
  CHECK(to_hex(encode_cid(*make_cid_format(0, "c4605e", 4), *parse_hex("4504cc4f"))) ==
        "07c4605e4504cc4f");
  CHECK(to_hex(encode_cid(*make_cid_format(1, "350d28b420", 5), *parse_hex("03487d970b"))) ==
        "2a350d28b42003487d970b");
}

TEST_CASE("cid: the formats that the draft forbids are refused") {
  CHECK(make_cid_format(7, "01", 4).error() == "the config is 0 to 6");
  CHECK(make_cid_format(0, "", 4).error() == "the server id has at least 1 octet");
  CHECK(make_cid_format(0, "01", 3).error() == "the nonce has at least 4 octets");
  CHECK(make_cid_format(6, "0001", 17).has_value());
  CHECK(make_cid_format(6, "0001", 18).error() ==
        "server id and nonce together have at most 19 octets");
  CHECK(make_cid_format(0, "0", 4).error() == "'0' has an odd number of hexadecimal digits");
  CHECK(make_cid_format(0, "0x", 4).error() == "'0x' is not hexadecimal");
}

TEST_CASE("cid: a server knows its own connection IDs from all others") {
  const auto format = *make_cid_format(1, "0002", 6);
  CHECK(is_own_cid(format, *parse_hex("280002a1a2a3a4a5a6")));
  CHECK_FALSE(is_own_cid(format, *parse_hex("280003a1a2a3a4a5a6")));    // another server
  CHECK_FALSE(is_own_cid(format, *parse_hex("080002a1a2a3a4a5a6")));    // another config
  CHECK_FALSE(is_own_cid(format, *parse_hex("290002a1a2a3a4a5a6")));    // another length in it
  CHECK_FALSE(is_own_cid(format, *parse_hex("280002a1a2a3a4a5a6a7")));  // another length
  CHECK_FALSE(is_own_cid(format, {}));
}
