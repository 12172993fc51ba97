// Changes of the tables: in force with the next packet, and whole to each.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "server.hpp"

namespace lbctl::tests {

TEST_CASE("changes under traffic: every packet meets the old table or the new one") {
  Table table;
  auto& tables = table.steering.tables();
  // The packet's connection ID names a server by either scheme. The two addresses differ in every
  // octet, so that a mixture would show.
  const auto a = mac("02:11:11:11:11:11"), b = mac("fe:ee:ee:ee:ee:ee");
  const CidScheme short_id{.config = 0, .id_length = 2, .nonce_length = 4},
      long_id{.config = 0, .id_length = 8, .nonce_length = 11};
  const ServerId by_short{0x0a0b}, by_long{0x0a0b0c0d0e0f1011};
  REQUIRE(tables.set_server(by_short, {.local = false, .mac = a}));
  REQUIRE(tables.set_server(by_long, {.local = false, .mac = b}));
  const Bytes in =
      with(4, short_packet(hex("000a0b0c0d0e0f1011aabbccddeeff0011223344"), 20)).bytes();
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (int i = 0; !stop; ++i) {
      const auto scheme_now = i % 2 == 0 ? short_id : long_id;
      (void)tables.set_service({ip("192.0.2.100"), Port{443}}, {{scheme_now}});
      for (const ServerId id : {by_short, by_long})
        (void)tables.set_server(id, {.local = false, .mac = i % 3 == 0 ? a : b});
    }
  });
  std::map<std::string, int> seen;
  for (int i = 0; i < 4000; ++i) {
    const Answer answer = table.steering.run(in);
    const Bytes to(answer.bytes.begin(), answer.bytes.begin() + 6);
    const bool whole = std::ranges::equal(to, a.octets) || std::ranges::equal(to, b.octets);
    ++seen[answer.verdict + (whole ? "" : " to nobody")];
  }
  stop = true;
  CHECK(seen == std::map<std::string, int>{{"TX", 4000}});
}

TEST_CASE("a service's own scheme decides, and a change of it takes effect at once") {
  Table table;
  auto& tables = table.steering.tables();
  const Frame frame = with(4, short_packet(hex("490000000000000002aabbccdd")));
  table.passes(frame, {.unroutable = 1});
  REQUIRE(tables.set_service({ip("192.0.2.100"), Port{443}},
                             {{{.config = 2, .id_length = 8, .nonce_length = 4}}}));
  table.steers(frame);
  table.passes(with(4, short_packet(peer_cid)), {.unroutable = 1});
  table.steers(with(6, short_packet(peer_cid)));
  CHECK(tables.remove_service({ip("192.0.2.100"), Port{443}}));
  table.passes(frame, {});
}

TEST_CASE("a changed scheme stands in a new row and leaves the old one as it was") {
  Table table;
  auto& tables = table.steering.tables();
  const auto rows = [&] {
    std::set<__u32> out;
    for (const auto& bucket : tables.raw().vips)
      for (const auto& vip : bucket.way)
        if (vip.port_family != 0) out.insert(vip.row % QS_SERVICE_ROWS);
    return out;
  };
  const std::set<__u32> before = rows();
  REQUIRE(before.size() == 2);
  std::vector<qs_service> old;
  for (const __u32 row : before)
    old.push_back(tables.raw().services[row]);
  for (const char* vip : {"192.0.2.100", "2001:db8:100::100"})
    REQUIRE(tables.set_service({ip(vip), Port{443}},
                               {{{.config = 5, .id_length = 8, .nonce_length = 9}}}));
  const std::set<__u32> after = rows();
  CHECK(after.size() == 2);
  for (const __u32 row : before) {
    CHECK_FALSE(after.contains(row));
    const qs_service& now = tables.raw().services[row];
    CHECK(std::memcmp(&now, &old.front(), sizeof now) == 0);
  }
}

TEST_CASE("counters stay while a service and a server change; those of a removed one are kept") {
  Table table;
  auto& tables = table.steering.tables();
  const model::SteeredKey web4{ip("192.0.2.100"), Port{443}},
      web6{ip("2001:db8:100::100"), Port{443}};
  table.steers(with(4, short_packet(peer_cid)));
  table.steers(with(6, short_packet(peer_cid)));
  REQUIRE(tables.set_service(web4, {{usual}, true, true}));
  REQUIRE(tables.set_server(ServerId{2}, {.local = false, .mac = mac("02:00:00:00:00:22")}));
  table.steering.run(with(4, short_packet(peer_cid)).bytes());
  auto now = tables.figures();
  CHECK(now.services.at(web4) == XdpCounters{.steered = 2});
  CHECK(now.services.at(web6) == XdpCounters{.steered = 1});
  CHECK(now.servers.at(ServerId{2}) == 3);
  CHECK(now.servers.at(ServerId{1}) == 0);

  CHECK(tables.remove_service(web4));
  CHECK(tables.remove_server(ServerId{2}));
  now = tables.figures();
  CHECK(now.total == XdpCounters{.steered = 3});
  CHECK_FALSE(now.services.contains(web4));
  // One that takes its place begins at zero.
  REQUIRE(tables.set_service({ip("192.0.2.7"), Port{443}}, {{usual}}));
  REQUIRE(tables.set_server(ServerId{77}, {.local = false, .mac = peer}));
  now = tables.figures();
  CHECK(now.services.at({ip("192.0.2.7"), Port{443}}) == XdpCounters{});
  CHECK(now.servers.at(ServerId{77}) == 0);
  CHECK(now.total == XdpCounters{.steered = 3});
}

TEST_CASE("a server's change takes effect at once: unresolved, resolved, local, removed") {
  Table table;
  auto& tables = table.steering.tables();
  const Frame frame = with(4, short_packet(hex("080003aabbccddeeff")));
  table.passes(frame, {.unresolved = 1});
  REQUIRE(tables.set_server(ServerId{3}, {.local = false, .mac = peer}));
  table.steers(frame);
  REQUIRE(tables.set_server(ServerId{3}, {.local = true, .mac = {}}));
  table.passes(frame, {.local = 1});
  CHECK(tables.remove_server(ServerId{3}));
  table.passes(frame, {.unknown_id = 1});
}

TEST_CASE("a MAC address is a peer's as long as one server has it") {
  Table table;
  auto& tables = table.steering.tables();
  Frame frame = with(4, short_packet(local_cid));
  frame.from = peer;  // of ids 2 and 0x0102
  REQUIRE(tables.set_server(ServerId{2}, {.local = false, .mac = mac("02:00:00:00:00:22")}));
  table.passes(frame, {.from_peer = 1});
  CHECK(tables.remove_server(ServerId{0x0102}));
  table.passes(frame, {.local = 1});
  frame.from = mac("02:00:00:00:00:22");
  table.passes(frame, {.from_peer = 1});
}

}  // namespace lbctl::tests
