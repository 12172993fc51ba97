// The draft's test vectors, through the reference and through the program.
#include "vectors.hpp"

#include "reference.hpp"
#include "schemes.hpp"
#include "server.hpp"

namespace lbctl::tests {

TEST_CASE("the reference agrees with every vector, both ways") {
  CHECK(vectors().size() == 7);
  for (const Vector& vector : vectors()) {
    Bytes readable = vector.cid;
    readable.resize(20, 0xee);
    CHECK(decode_cid({vector.scheme}, readable, vector.cid.size()) == vector.id);
    const Bytes rest = join({{vector.cid[0]}, Bytes(vector.scheme.id_length), vector.nonce});
    CHECK(encode_cid(vector.scheme, vector.id, rest) == vector.cid);
  }
}

TEST_CASE("every vector is steered to the server that it names, and to no other") {
  Table table;
  auto& tables = table.steering.tables();
  for (const Vector& vector : vectors())
    for (const int version : {4, 6}) {
      CAPTURE(vector.id.text());
      for (const char* vip : {"192.0.2.100", "2001:db8:100::100"})
        REQUIRE(tables.set_service({ip(vip), Port{443}}, {{vector.scheme}}));
      const Frame in_short = with(version, short_packet(vector.cid, 20));
      const Frame in_long = with(version, long_packet(vector.cid));
      table.passes(in_short, {.unknown_id = 1});
      table.passes(in_long, {.unknown_id = 1});
      REQUIRE(tables.set_server(vector.id, {.local = false, .mac = peer}));
      table.steers(in_short);
      table.steers(in_long);
      REQUIRE(tables.set_server(vector.id, {.local = true, .mac = {}}));
      table.passes(in_short, {.local = 1});
      CHECK(tables.remove_server(vector.id));
    }
}

}  // namespace lbctl::tests
