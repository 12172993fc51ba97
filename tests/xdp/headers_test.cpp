// What stands before the UDP header: VLAN tags, IPv6 extension headers, and ICMP errors that quote
// a packet of ours.
#include "server.hpp"

namespace lbctl::tests {

namespace {

using Tags = std::vector<std::uint16_t>;
const Tags no_tags, one_tag = {0x8100}, two_tags = {0x88a8, 0x8100}, two_inner = {0x8100, 0x8100},
                    three_tags = {0x88a8, 0x8100, 0x8100};

Frame tagged(const Tags& tags, Frame frame) {
  frame.tags = tags;
  return frame;
}

/// A packet of this VIP to a client.
Frame ours(int version, const Bytes& payload) {
  Frame out = with(version, payload);
  std::swap(out.source, out.destination);
  std::swap(out.source_port, out.port);
  return out;
}

Frame error_about(const Frame& about, std::uint8_t type, std::size_t quoted = 2000) {
  Frame out = with(about.source.is_v4() ? 4 : 6, {});
  out.source = out.destination.is_v4() ? ip("203.0.113.9") : ip("2001:db8:9::9");  // some router
  out.icmp = icmp_error(type, about, quoted);
  return out;
}

const Bytes client_cid = hex("c11e9700aabbccdd");

}  // namespace

TEST_CASE("every row of the decision table behind no, one and two VLAN tags") {
  for (const int version : {4, 6})
    for (const Tags& tags : {no_tags, one_tag, two_tags, two_inner}) {
      CAPTURE(version);
      CAPTURE(tags.size());
      Table table;
      const auto frame = [&](const Bytes& payload) { return tagged(tags, with(version, payload)); };
      table.steers(frame(short_packet(peer_cid)));
      table.steers(frame(long_packet(peer_cid)));
      table.passes(frame(short_packet(local_cid)), {.local = 1});
      table.passes(frame(long_packet(local_cid)), {.local = 1});
      table.passes(frame(short_packet(hex("080063aabbccddeeff"))), {.unknown_id = 1});
      table.passes(frame(short_packet(hex("e80002aabbccddeeff"))), {.unroutable = 1});
      table.passes(frame(long_packet({})), {.unroutable = 1});
      table.passes(frame(short_packet(hex("080003aabbccddeeff"))), {.unresolved = 1});
      table.passes(frame(short_packet(peer_cid, 10)), {.too_short = 1});
      Frame other = frame(short_packet(peer_cid));
      other.from = peer;
      table.passes(other, {.from_peer = 1});
      other = frame(short_packet(peer_cid));
      other.to = mac("02:00:00:00:00:03");
      table.passes(other, {.other_station = 1});
      other = frame(short_packet(peer_cid));
      other.ttl = 1;
      table.drops(other, {.ttl_expired = 1});
      other.ttl = 2;
      table.steers(other);
      other.port = 444;
      table.passes(other, {});
      table.steers(tagged(tags, error_about(ours(version, server_packet(client_cid, peer_cid)),
                                            version == 4 ? 3 : 1)));
      if (version == 4) {
        other = frame(short_packet(peer_cid));
        other.fragment = 0x2000;
        table.passes(other, {});
        other.fragment = 0x4000;
        other.options = Bytes(40, 1);
        table.steers(other);
      }
    }
}

TEST_CASE("a third VLAN tag, and tags that are cut off, are not read") {
  Table table;
  for (const int version : {4, 6})
    table.passes(tagged(three_tags, with(version, short_packet(peer_cid))), {});
  for (const Tags& tags : {one_tag, two_tags}) {
    const Bytes whole = tagged(tags, with(4, short_packet(peer_cid, 11))).bytes();
    for (std::size_t length = 14; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      CAPTURE(length);
      const Answer answer = table.steering.run(cut);
      CHECK(answer.verdict == "PASS");
      CHECK(answer.bytes == cut);
    }
  }
}

TEST_CASE("IPv6: hop-by-hop, routing and destination options are stepped over") {
  Table table;
  const auto behind = [&](std::uint8_t first, const Bytes& headers) {
    Frame frame = with(6, short_packet(peer_cid));
    frame.next_header = first;
    frame.options = headers;
    return frame;
  };
  constexpr std::uint8_t hop = 0, routing = 43, fragment = 44, options = 60, udp = 17;
  const Bytes padding = {1, 4, 0, 0, 0, 0};
  for (const std::uint8_t header : {hop, routing, options})
    table.steers(behind(header, {udp, 0, 0, 0, 0, 0, 0, 0}));
  table.steers(behind(hop, join({{udp, 2}, Bytes(22, 0)})));
  table.steers(behind(options, join({{udp, 255}, Bytes(2046, 0)})));
  const Bytes four = join({{options, 0},
                           padding,
                           {routing, 0},
                           padding,
                           {options, 0, 3, 0, 0, 0, 0, 0},
                           {udp, 0},
                           padding});
  table.steers(behind(hop, four));
  // A fifth is too much; what still has stations to see is on its way; fragments pass.
  Bytes five = four;
  five[24] = options;
  table.passes(behind(hop, join({five, {udp, 0}, padding})), {});
  table.passes(behind(routing, {udp, 0, 0, 1, 0, 0, 0, 0}), {});
  table.passes(behind(fragment, {udp, 0, 0, 0, 0, 0, 0, 1}), {});
  table.passes(behind(hop, join({{fragment, 0}, padding, {udp, 0, 0, 1, 0, 0, 0, 1}})), {});
  table.passes(behind(options, {6, 0, 0, 0, 0, 0, 0, 0}), {});
  table.passes(behind(options, join({{udp, 200}, padding})), {});  // ends beyond the packet
}

TEST_CASE("ICMP errors about a server's packet go to the server that its source names") {
  const std::vector<std::uint8_t> types[] = {{3, 11, 12}, {1, 2, 3, 4}};
  for (const int version : {4, 6}) {
    CAPTURE(version);
    Table table;
    const auto about = [&](const Bytes& payload) { return ours(version, payload); };
    for (const std::uint8_t type : types[version == 4 ? 0 : 1]) {
      CAPTURE(int{type});
      for (const Bytes& dcid : {Bytes{}, client_cid, Bytes(20, 0x11)})
        table.steers(error_about(about(server_packet(dcid, peer_cid)), type));
      table.passes(error_about(about(server_packet(client_cid, local_cid)), type), {.local = 1});
      table.passes(error_about(about(server_packet(client_cid, hex("080063aabbccddeeff"))), type),
                   {.unknown_id = 1});
      table.passes(error_about(about(server_packet(client_cid, {})), type), {.unroutable = 1});
      table.passes(error_about(about(server_packet(Bytes(21, 0x11), peer_cid)), type),
                   {.unroutable = 1});
      // A short header has the client's connection ID only.
      table.passes(error_about(about(short_packet(peer_cid)), type), {.unroutable = 1});
    }
    const Frame whole = about(server_packet(client_cid, peer_cid));
    const std::uint8_t type = types[version == 4 ? 0 : 1].front();
    const std::size_t header = version == 4 ? 20 : 40;
    for (std::size_t quoted = 0; quoted < header + 8; ++quoted)
      table.passes(error_about(whole, type, quoted), {});
    // UDP header, 6 octets, DCID, length, 20 octets for the SCID.
    const std::size_t enough = header + 8 + 6 + client_cid.size() + 1 + 20;
    for (std::size_t quoted = header + 8; quoted < enough; ++quoted)
      table.passes(error_about(whole, type, quoted), {.too_short = 1});
    table.steers(error_about(whole, type, enough));
    Frame error = error_about(whole, type);
    error.ttl = 1;
    table.drops(error, {.ttl_expired = 1});
    error.ttl = 64;
    error.from = peer;
    table.passes(error, {.from_peer = 1});
  }
}

TEST_CASE("other ICMP is the kernel's") {
  for (const int version : {4, 6}) {
    Table table;
    const Frame whole = ours(version, server_packet(client_cid, peer_cid));
    for (const std::uint8_t type : Bytes{0, 5, 8, 128, 129, 133, 135, 136, 137})
      table.passes(error_about(whole, type), {});
    const std::uint8_t type = version == 4 ? 3 : 1;
    // About a packet to the VIP, or from another address or port than the error goes to.
    table.passes(error_about(with(version, server_packet(client_cid, peer_cid)), type), {});
    Frame error = error_about(whole, type);
    error.destination = version == 4 ? ip("192.0.2.101") : ip("2001:db8:100::101");
    table.passes(error, {});
    Frame other_port = whole;
    other_port.source_port = 444;
    table.passes(error_about(other_port, type), {});
    if (version == 6) continue;
    Frame later = whole;
    later.fragment = 0x0010;
    table.passes(error_about(later, type), {});
    later.fragment = 0x2000;  // the first fragment has the header
    table.steers(error_about(later, type));
    later.options = Bytes(12, 1);
    table.steers(error_about(later, type));
  }
}

TEST_CASE("initial = local keeps long headers, unknown = drop drops what names nobody") {
  for (const int version : {4, 6}) {
    Table table;
    auto& tables = table.steering.tables();
    const auto set = [&](bool keep_long, bool drop_unknown) {
      for (const char* vip : {"192.0.2.100", "2001:db8:100::100"})
        REQUIRE(tables.set_service({ip(vip), Port{443}}, {{usual}, keep_long, drop_unknown}));
    };
    const Frame nobody = with(version, short_packet(hex("080063aabbccddeeff")));
    const Frame unroutable = with(version, short_packet(hex("e80063aabbccddeeff")));
    set(true, false);
    table.passes(with(version, long_packet(peer_cid)), {.long_header = 1});
    table.steers(with(version, short_packet(peer_cid)));
    table.passes(nobody, {.unknown_id = 1});
    table.steers(
        error_about(ours(version, server_packet(client_cid, peer_cid)), version == 4 ? 3 : 1));
    set(false, true);
    table.steers(with(version, long_packet(peer_cid)));
    table.drops(nobody, {.unknown_id = 1});
    table.passes(unroutable, {.unroutable = 1});
    table.passes(with(version, short_packet(local_cid)), {.local = 1});
    table.passes(with(version, short_packet(hex("080003aabbccddeeff"))), {.unresolved = 1});
  }
}

}  // namespace lbctl::tests
