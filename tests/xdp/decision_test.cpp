// The decision table of QUIC steering, row by row, for IPv4 and IPv6: the exact verdict, the exact
// octets that leave, and the counter.
#include "server.hpp"

namespace lbctl::tests {

namespace {

void read_by_header(int version) {
  Table table;
  SUBCASE("short header, a peer's id: steered") {
    table.steers(with(version, short_packet(peer_cid)));
  }
  SUBCASE("short header, both octets of the id count") {
    table.steers(with(version, short_packet(hex("080102aabbccddeeff"))));
    table.passes(with(version, short_packet(hex("080202aabbccddeeff"))), {.unknown_id = 1});
  }
  SUBCASE("short header, our own id: passed") {
    table.passes(with(version, short_packet(local_cid)), {.local = 1});
  }
  SUBCASE("long header, a peer's id: steered in any version, of any type") {
    for (const std::uint32_t quic : {0x00000001u, 0x6b3343cfu, 0xff00001du, 0x0a0a0a0au, 0u})
      for (const std::uint8_t first : Bytes{0xc0, 0xd0, 0xe0, 0xf0, 0x80, 0xff})
        table.steers(with(version, long_packet(peer_cid, quic, first)));
  }
  SUBCASE("long header, our own id: passed") {
    table.passes(with(version, long_packet(local_cid)), {.local = 1});
  }
  SUBCASE("long header, DCID longer than the scheme's: its beginning decides") {
    table.steers(with(version, long_packet(join({peer_cid, {1, 2, 3}}))));
  }
  SUBCASE("long header, DCID shorter than the scheme's: passed, whatever it holds") {
    Bytes cut = peer_cid;
    cut.pop_back();
    table.passes(with(version, long_packet(cut)), {.unroutable = 1});
    table.passes(with(version, long_packet({})), {.unroutable = 1});
  }
}

void read_by_cid(int version) {
  Table table;
  SUBCASE("the fixed bit is greased: both values are read alike") {
    for (const std::uint8_t first : Bytes{0x00, 0x3f, 0x40, 0x7f})
      table.steers(with(version, short_packet(peer_cid, 40, first)));
  }
  SUBCASE("an unknown id: passed and counted") {
    table.passes(with(version, short_packet(hex("080063aabbccddeeff"))), {.unknown_id = 1});
    table.passes(with(version, long_packet(hex("080063aabbccddeeff"))), {.unknown_id = 1});
  }
  SUBCASE("id 0 names no server: passed") {
    table.passes(with(version, short_packet(hex("080000aabbccddeeff"))), {.unknown_id = 1});
  }
  SUBCASE("another config, and 0b111, which is never routable: passed") {
    for (const char* cid : {"280002aabbccddeeff", "c80002aabbccddeeff", "e80002aabbccddeeff"})
      table.passes(with(version, short_packet(hex(cid))), {.unroutable = 1});
  }
  SUBCASE("the low five bits of the first octet may be random") {
    for (const char* cid : {"000002aabbccddeeff", "1f0002aabbccddeeff"})
      table.steers(with(version, short_packet(hex(cid))));
  }
  SUBCASE("a peer without a resolved MAC address: passed and counted") {
    table.passes(with(version, short_packet(hex("080003aabbccddeeff"))), {.unresolved = 1});
  }
}

void judge_packet(int version) {
  Table table;
  SUBCASE("from a steering peer: passed, never steered twice") {
    Frame frame = with(version, short_packet(peer_cid));
    frame.from = peer;
    table.passes(frame, {.from_peer = 1});
  }
  SUBCASE("a frame for another station: passed, or the switch would learn a wrong port") {
    Frame frame = with(version, short_packet(peer_cid));
    frame.to = mac("02:00:00:00:00:03");
    table.passes(frame, {.other_station = 1});
    frame.to = mac("ff:ff:ff:ff:ff:ff");
    table.passes(frame, {.other_station = 1});
    frame.to = mac("00:00:00:00:00:00");
    table.passes(frame, {.other_station = 1});
  }
  SUBCASE("coalesced packets: the first one decides") {
    table.steers(with(version, join({long_packet(peer_cid), long_packet(local_cid)})));
    table.passes(with(version, join({long_packet(local_cid), short_packet(peer_cid)})),
                 {.local = 1});
  }
  SUBCASE("the shortest packet that QUIC can send is steered, a shorter one passes") {
    // First octet, connection ID (9), packet number and sample (20).
    table.steers(with(version, short_packet(peer_cid, 20)));
    table.steers(with(version, short_packet(peer_cid, 11)));
    table.passes(with(version, short_packet(peer_cid, 10)), {.too_short = 1});
    table.passes(with(version, {}), {.too_short = 1});
    Bytes initial = long_packet(peer_cid);
    initial.resize(26);
    table.steers(with(version, initial));
    initial.resize(25);
    table.passes(with(version, initial), {.too_short = 1});
  }
  SUBCASE("TTL or hop limit 1 and 0: dropped; 2: the last hop") {
    for (const std::uint8_t ttl : Bytes{1, 0}) {
      Frame frame = with(version, short_packet(peer_cid));
      frame.ttl = ttl;
      const Answer answer = table.steering.run(frame.bytes());
      CHECK(answer.verdict == "DROP");
      CHECK(answer.counted == XdpCounters{.ttl_expired = 1});
      frame.payload = short_packet(local_cid);
      table.passes(frame, {.local = 1});  // not forwarded, so none of our business
    }
    Frame frame = with(version, short_packet(peer_cid));
    frame.ttl = 2;
    table.steers(frame);
  }
  SUBCASE("not a steered VIP or port: passed uncounted") {
    Frame frame = with(version, short_packet(peer_cid));
    frame.port = 444;
    table.passes(frame, {});
    frame.port = 443;
    frame.destination = version == 4 ? ip("192.0.2.101") : ip("2001:db8:100::101");
    table.passes(frame, {});
  }
}

}  // namespace

TEST_CASE("decision table: headers, IPv4") {
  read_by_header(4);
}
TEST_CASE("decision table: headers, IPv6") {
  read_by_header(6);
}
TEST_CASE("decision table: connection IDs, IPv4") {
  read_by_cid(4);
}
TEST_CASE("decision table: connection IDs, IPv6") {
  read_by_cid(6);
}
TEST_CASE("decision table: packets, IPv4") {
  judge_packet(4);
}
TEST_CASE("decision table: packets, IPv6") {
  judge_packet(6);
}

TEST_CASE("IPv4: options are stepped over") {
  Table table;
  for (const std::size_t length : {4u, 20u, 40u}) {
    Frame frame = with(4, short_packet(peer_cid));
    frame.options = Bytes(length, 1);  // no operation
    table.steers(frame);
  }
}

TEST_CASE("IPv4: fragments pass, first and later ones") {
  Table table;
  for (const std::uint16_t fragment :
       std::initializer_list<std::uint16_t>{0x2000, 0x2001, 0x0001, 0x1fff}) {
    Frame frame = with(4, short_packet(peer_cid));
    frame.fragment = fragment;
    table.passes(frame, {});
  }
  Frame frame = with(4, short_packet(peer_cid));
  frame.fragment = 0;  // may be fragmented, is not
  table.steers(frame);
}

TEST_CASE("IPv4: the checksum is right, above all where the sum carries") {
  Table table;
  Frame frame = with(4, short_packet(peer_cid));
  int carries = 0;
  for (unsigned id = 0; id <= 0xffff; ++id) {
    frame.ip_id = static_cast<std::uint16_t>(id);
    const Bytes in = frame.bytes();
    const bool near_carry = in[24] >= 0xfe || in[24] <= 0x01;  // the checksum's high octet
    if (!near_carry && id % 61 != 0) continue;
    carries += in[24] >= 0xfe ? 1 : 0;
    Frame out = frame;
    out.to = peer;
    out.from = self;
    --out.ttl;
    REQUIRE(table.steering.run(in).bytes == out.bytes());
  }
  CHECK(carries >= 511);
}

TEST_CASE("not UDP, not IP, broken or cut short at any octet: passed untouched") {
  Table table;
  for (const int version : {4, 6}) {
    const Bytes whole = with(version, short_packet(peer_cid, 11)).bytes();
    for (std::size_t length = 14; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      CAPTURE(length);
      const Answer answer = table.steering.run(cut);
      CHECK(answer.verdict == "PASS");
      CHECK(answer.bytes == cut);
    }
  }
  const auto changed = [&](int version, std::size_t at, std::uint8_t value) {
    Bytes packet = with(version, short_packet(peer_cid)).bytes();
    packet[at] = value;
    const Answer answer = table.steering.run(packet);
    CHECK(answer.verdict == "PASS");
    CHECK(answer.bytes == packet);
    CHECK(answer.counted == XdpCounters{});
  };
  changed(4, 12, 0x81);   // EtherType
  changed(4, 14, 0x65);   // IP version
  changed(4, 14, 0x44);   // header length below 20
  changed(4, 14 + 9, 6);  // TCP
  changed(6, 14, 0x40);   // IP version
  changed(6, 14 + 6, 6);  // TCP
}

TEST_CASE(
    "an IPv4 header with an impossible length is not read, even where a VIP seems to follow") {
  Table table;
  // With 16 octets of header, the address's last two octets, 0x0264, would be the port; the UDP
  // header would be the connection ID, and its length of 58 the server id.
  REQUIRE(table.steering.tables().set_service({ip("192.0.2.100"), Port{0x0264}}, {{usual}}));
  REQUIRE(table.steering.tables().set_server(ServerId{58}, {.local = false, .mac = peer}));
  Frame frame = with(4, short_packet(peer_cid));
  frame.port = 0x0108;
  Bytes packet = frame.bytes();
  packet[14] = 0x44;
  const Answer answer = table.steering.run(packet);
  CHECK(answer.verdict == "PASS");
  CHECK(answer.counted == XdpCounters{});
}

}  // namespace lbctl::tests
