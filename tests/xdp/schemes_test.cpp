// Every connection ID scheme through the program: the server that is named, and no other.
#include <random>

#include "reference.hpp"
#include "schemes.hpp"
#include "server.hpp"

namespace lbctl::tests {

namespace {

Bytes random_octets(std::mt19937& random, std::size_t length = 20) {
  Bytes out(length);
  for (std::uint8_t& octet : out)
    octet = static_cast<std::uint8_t>(random());
  return out;
}

void use(Table& table, const model::CidSchemes& schemes) {
  for (const char* vip : {"192.0.2.100", "2001:db8:100::100"})
    REQUIRE(table.steering.tables().set_service({ip(vip), Port{443}}, {schemes}));
}

}  // namespace

TEST_CASE("every scheme, in short and long headers, IPv4 and IPv6") {
  Table table;
  auto& tables = table.steering.tables();
  std::mt19937 random(1);
  for (const CidScheme& scheme : all_schemes()) {
    CAPTURE(name(scheme.format));
    CAPTURE(int{scheme.id_length});
    CAPTURE(int{scheme.nonce_length});
    CAPTURE(scheme.encrypted);
    use(table, {scheme});
    const ServerId id = some_id(scheme);
    REQUIRE(tables.set_server(id, {.local = false, .mac = peer}));
    const Bytes cid = encode_cid(scheme, id, random_octets(random));
    for (const int version : {4, 6}) {
      // What follows the connection ID must not count.
      table.steers(with(version, join({{0x40}, cid, random_octets(random)})));
      table.steers(with(version, long_packet(cid)));
      table.steers(with(version, long_packet(join({cid, Bytes(20 - cid.size(), 7)}))));
      const Bytes cut(cid.begin(), cid.end() - 1);
      table.passes(with(version, long_packet(cut)), {.unroutable = 1});
    }
    // An id that differs in one bit is another server's.
    for (const int bit : {0, id.bits() - 1}) {
      ServerId other = id;
      (bit < 64 ? other.low : other.high) ^= std::uint64_t{1} << bit % 64;
      if (other.is_zero()) continue;
      const Bytes wrong = encode_cid(scheme, other, random_octets(random));
      table.passes(with(4, join({{0x40}, wrong, random_octets(random)})), {.unknown_id = 1});
    }
    REQUIRE(tables.remove_server(id));
  }
}

TEST_CASE("ids of one value are several servers' where the spaces differ") {
  Table table;
  auto& tables = table.steering.tables();
  std::mt19937 random(2);
  const ServerId number{0x0a0b0c}, v4{0x0a0b0c, 0, model::IdSpace::ipv4},
      v6{0x0a0b0c, 0, model::IdSpace::ipv6}, wide{0x0a0b0c, 1};
  const std::vector<std::pair<CidScheme, ServerId>> all = {
      {quic_lb(0, 4, 6), number}, {dpvs(3), v4}, {dpvs(4), v6}, {encrypted(0, 9, 6), wide}};
  for (std::size_t has = 0; has < all.size(); ++has) {
    REQUIRE(tables.set_server(all[has].second, {.local = false, .mac = peer}));
    for (std::size_t asks = 0; asks < all.size(); ++asks) {
      use(table, {all[asks].first});
      const Bytes cid = encode_cid(all[asks].first, all[asks].second, random_octets(random));
      const Frame frame = with(4, join({{0x40}, cid, random_octets(random)}));
      if (has == asks)
        table.steers(frame);
      else
        table.passes(frame, {.unknown_id = 1});
    }
    REQUIRE(tables.remove_server(all[has].second));
  }
}

TEST_CASE("ids of one low word that share a bucket are told apart by their high words") {
  Table table;
  auto& tables = table.steering.tables();
  std::mt19937 random(5);
  constexpr std::uint64_t low = 0x0a0b0c;
  const auto bucket = [](std::uint64_t high) {
    return qs_bucket_1(qs_server_key({low, high}), QS_SERVER_BITS);
  };
  const ServerId here{low, 1};
  ServerId other{low, 2};
  while (bucket(other.high) != bucket(here.high))
    ++other.high;
  const auto asks = [&](const CidScheme& scheme, const ServerId& id) {
    use(table, {scheme});
    return with(4, join({{0x40}, encode_cid(scheme, id, random_octets(random)), Bytes(20, 1)}));
  };
  const CidScheme wide = quic_lb(0, 15, 4);
  REQUIRE(tables.set_server(here, {.local = false, .mac = peer}));
  table.steers(asks(wide, here));
  table.passes(asks(wide, other), {.unknown_id = 1});
}

TEST_CASE("several schemes live at once, and the first that fits decides") {
  Table table;
  auto& tables = table.steering.tables();
  std::mt19937 random(3);
  const model::CidKey other_key = key_of(hex("fdf726a9893ec05c0632d3956680baf0"));
  model::CidSchemes all;
  for (unsigned config = 0; config <= 6; ++config)
    all.push_back(config % 2 == 0 ? encrypted(config, 3, 4 + config, other_key)
                                  : encrypted(config, 2, 14));
  all.push_back(msquic());
  use(table, all);
  const ServerId id{0x1234};
  REQUIRE(tables.set_server(id, {.local = false, .mac = peer}));
  for (const CidScheme& scheme : all) {
    CAPTURE(int{scheme.config});
    Bytes cid = encode_cid(scheme, id, random_octets(random));
    if (scheme.format == model::CidFormat::msquic) cid[0] |= 0xe0;  // no other fits
    table.steers(with(4, join({{0x40}, cid, random_octets(random)})));
  }
  // Read by the right configuration, but with the wrong key.
  Bytes cid = encode_cid(encrypted(0, 3, 4, some_key), id, random_octets(random));
  table.passes(with(6, join({{0x40}, cid, random_octets(random)})), {.unknown_id = 1});
  // A connection ID that is too short for the first that fits is left to the next.
  use(table, {quic_lb(0, 2, 8), raw(1, 2, 8)});
  cid = encode_cid(raw(1, 2, 8), id, Bytes(20, 0));
  table.steers(with(4, long_packet(cid)));
}

TEST_CASE("keys are rotated by one store: the old one, then both, then the new one") {
  Table table;
  auto& tables = table.steering.tables();
  std::mt19937 random(4);
  const ServerId id{77};
  REQUIRE(tables.set_server(id, {.local = false, .mac = peer}));
  const CidScheme old_one = encrypted(0, 2, 8), new_one = encrypted(1, 2, 8, key_of(Bytes(16, 9)));
  const auto old_frame = with(4, short_packet(encode_cid(old_one, id, random_octets(random))));
  const auto new_frame = with(4, short_packet(encode_cid(new_one, id, random_octets(random))));
  use(table, {old_one});
  table.steers(old_frame);
  table.passes(new_frame, {.unroutable = 1});
  use(table, {old_one, new_one});
  table.steers(old_frame);
  table.steers(new_frame);
  use(table, {new_one});
  table.passes(old_frame, {.unroutable = 1});
  table.steers(new_frame);
}

}  // namespace lbctl::tests
