// The placement of keys in the XDP program's hash tables. The reader here follows the rule of
// xdp/quic_steer.h, as the program does: behind the first entry only where that says so.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "bucket_table.hpp"
#include "codec.hpp"
#include "layouts.hpp"

namespace lbctl::kernel::xdp {

namespace {

template <class Layout>
struct Memory {
  std::vector<typename Layout::Bucket> buckets =
      std::vector<typename Layout::Bucket>(std::size_t{1} << Layout::bits);
  BucketTable<Layout> table{buckets};
};

std::optional<__u64> server_in(const qs_server_bucket& bucket, __u64 id) {
  for (const qs_server& server : bucket.way)
    if (server.id == id && (server.target & QS_SPACE) == 0 && (server.target & QS_KIND) != 0)
      return server.target & (QS_KIND | QS_OPERAND);
  return std::nullopt;
}

/// As find_target() of xdp/tables.bpf.h.
std::optional<__u64> as_program(const std::vector<qs_server_bucket>& buckets, __u64 id) {
  const qs_server_bucket& first = buckets[qs_bucket_1(id, QS_SERVER_BITS)];
  if ((first.way[0].target & QS_MORE) != 0)
    if (auto found = server_in(first, id)) return found;
  if (auto found = server_in({.way = {first.way[0]}, .high = {}, .counter = {}, .unused = {}}, id))
    return found;
  if ((first.way[0].target & QS_MORE) == 0) return std::nullopt;
  return server_in(buckets[qs_bucket_2(id, QS_SERVER_BITS)], id);
}

__u64 peer(__u64 operand) {
  return static_cast<__u64>(QS_TO_PEER) << QS_KIND_SHIFT | operand;
}
ServerLayout::Value to_peer(__u64 operand) {
  return {peer(operand), 0};
}

/// Ids of one first bucket.
std::vector<__u64> colliding(std::size_t count) {
  std::vector<__u64> out;
  for (__u64 id = 1; out.size() < count; ++id)
    if (qs_bucket_1(id, QS_SERVER_BITS) == 77) out.push_back(id);
  return out;
}

/// Fills the table with 4,096 keys and looks each up.
void fill(const std::set<__u64>& ids) {
  Memory<ServerLayout> memory;
  std::size_t refused = 0;
  for (const __u64 id : ids)
    refused += memory.table.set({id, 0}, to_peer(id & 0xffff)) ? 0u : 1u;
  CHECK(refused == 0);
  std::size_t found = 0;
  for (const __u64 id : ids)
    found += as_program(memory.buckets, id) == peer(id & 0xffff) ? 1u : 0u;
  CHECK(found == ids.size());
  CHECK(memory.table.size() == ids.size());
}

}  // namespace

TEST_CASE("a full table: 4,096 random server ids fit, again and again") {
  std::mt19937_64 random(20250827);
  for (int round = 0; round < 20; ++round) {
    std::set<__u64> ids;
    while (ids.size() < QS_MAX_SERVERS)
      ids.insert(random() >> 1 | 1);
    fill(ids);
  }
}

TEST_CASE("a full table: ids in arithmetic progression fit, at every other bit and odd strides") {
  std::mt19937_64 random(7);
  std::vector<__u64> strides;
  for (int shift = 0; shift <= 50; shift += 2)
    strides.push_back(__u64{1} << shift);
  for (int i = 0; i < 20; ++i)
    strides.push_back(random() >> 14 | 1);
  // The stride that sends all keys to one first bucket: what it multiplies to is small.
  __u64 inverse = 1;
  for (int i = 0; i < 6; ++i)
    inverse *= 2 - QS_MULTIPLIER_1 * inverse;
  strides.push_back(inverse);
  for (const __u64 stride : strides) {
    CAPTURE(stride);
    std::set<__u64> ids;
    for (__u64 i = 1; i <= QS_MAX_SERVERS; ++i)
      ids.insert(i * stride);
    fill(ids);
  }
}

TEST_CASE("keys of one bucket spill into their second, and stay found while others go") {
  Memory<ServerLayout> memory;
  const auto ids = colliding(12);
  const auto& bucket = memory.buckets[77];
  for (std::size_t i = 0; i < ids.size(); ++i) {
    REQUIRE(memory.table.set({ids[i], 0}, to_peer(i)));
    CHECK(((bucket.way[0].target & QS_MORE) != 0) == (i >= 1));
  }
  // First those that live in the bucket itself: the mark must outlive them.
  for (std::size_t gone = 0; gone < ids.size(); ++gone) {
    CHECK(memory.table.erase({ids[gone], 0}));
    CHECK_FALSE(memory.table.erase({ids[gone], 0}));
    for (std::size_t i = 0; i < ids.size(); ++i)
      CHECK(as_program(memory.buckets, ids[i]) ==
            (i > gone ? std::optional<__u64>(peer(i)) : std::nullopt));
    CHECK(((bucket.way[0].target & QS_MORE) != 0) == (gone + 1 < ids.size()));
  }
  for (const auto& each : memory.buckets)
    for (const auto& way : each.way)
      CHECK_FALSE((way.id != 0 || way.target != 0));
}

TEST_CASE("a key in its second bucket is changed there, not added again") {
  Memory<ServerLayout> memory;
  const auto ids = colliding(5);
  for (const __u64 id : ids)
    REQUIRE(memory.table.set({id, 0}, to_peer(1)));
  for (const __u64 id : ids)
    REQUIRE(memory.table.set({id, 0}, to_peer(2)));
  CHECK(memory.table.size() == 5);
  for (const __u64 id : ids)
    CHECK(as_program(memory.buckets, id) == peer(2));
}

TEST_CASE("a random life: the program finds what a map would") {
  Memory<ServerLayout> memory;
  std::map<__u64, __u64> model;
  std::mt19937_64 random(42);
  const auto ids = colliding(40);
  for (int step = 0; step < 5000; ++step) {
    const __u64 id = random() % 3 == 0 ? ids[random() % 10] : 1 + random() % 3000;
    if (random() % 3 == 0) {
      CHECK(memory.table.erase({id, 0}) == (model.erase(id) == 1));
    } else {
      const __u64 value = peer(random() & QS_OPERAND);
      REQUIRE(memory.table.set({id, 0}, {value, 0}));
      model[id] = value;
    }
    auto found = model.find(id);
    REQUIRE(as_program(memory.buckets, id) ==
            (found == model.end() ? std::nullopt : std::optional<__u64>(found->second)));
  }
  std::map<__u64, __u64> listed;
  memory.table.each([&](const ServerLayout::Key& key, const ServerLayout::Value& value) {
    listed[key.id.low] = value.target;
  });
  CHECK(listed == model);
  for (const auto& [id, value] : model)
    CHECK(as_program(memory.buckets, id) == value);
}

TEST_CASE("one low word: two spaces and two high words make four servers") {
  Memory<ServerLayout> memory;
  const ServerLayout::Key keys[] = {{{5, 0}, 0}, {{5, 0}, 1}, {{5, 1}, 0}, {{5, 2}, 0}};
  for (std::size_t i = 0; i < 4; ++i)
    REQUIRE(memory.table.set(keys[i], to_peer(i)));
  CHECK(memory.table.size() == 4);
  REQUIRE(memory.table.set(keys[2], to_peer(7)));  // a change keeps space and width
  CHECK(memory.table.find(keys[2]) == to_peer(7));
  CHECK(memory.table.erase(keys[0]));
  CHECK_FALSE(memory.table.find(keys[0]));
  CHECK(memory.table.find(keys[1]) == to_peer(1));
  CHECK(memory.table.find(keys[3]) == to_peer(3));
  std::vector<__u64> highs;
  memory.table.each([&](const ServerLayout::Key& key, const ServerLayout::Value&) {
    highs.push_back(key.id.high);
  });
  std::ranges::sort(highs);
  CHECK(highs == std::vector<__u64>{0, 1, 2});
}

TEST_CASE("more than the table holds is refused with words") {
  Memory<VipLayout> memory;
  for (__u32 i = 0; i < QS_MAX_VIPS; ++i)
    REQUIRE(memory.table.set({{0, i}, QS_PORT_FAMILY(443, QS_V4)}, i));
  const auto refused = memory.table.set({{0, QS_MAX_VIPS}, QS_PORT_FAMILY(443, QS_V4)}, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text() == "the XDP table of steered services is full: it holds 256");
  CHECK(memory.table.set({{0, 0}, QS_PORT_FAMILY(443, QS_V4)}, 9));  // a change still goes

  Memory<ServerLayout> servers;
  Result<> last;
  std::size_t added = 0;
  for (const __u64 id : colliding(100)) {
    last = servers.table.set({id, 0}, to_peer(1));
    if (!last) break;
    ++added;
  }
  CHECK(added >= 12);  // four here, the others in their second buckets
}

TEST_CASE("full tables of VIPs and of MAC addresses, as people number them") {
  const auto fill_vips = [](auto&& key_of) {
    Memory<VipLayout> memory;
    for (unsigned i = 0; i < QS_MAX_VIPS; ++i)
      REQUIRE(memory.table.set(encode(key_of(i)), i));
    for (unsigned i = 0; i < QS_MAX_VIPS; ++i)
      CHECK(memory.table.find(encode(key_of(i))) == i);
  };
  const auto v6 = [](std::array<std::uint8_t, 16> octets, unsigned port) {
    return model::SteeredKey{*model::IpAddress::from_octets(octets),
                             model::Port{static_cast<std::uint16_t>(port)}};
  };
  const auto low = [](unsigned i) { return static_cast<std::uint8_t>(i); };
  fill_vips([&](unsigned i) {
    const std::array<std::uint8_t, 4> octets = {192, 0, 2, low(i)};
    return model::SteeredKey{*model::IpAddress::from_octets(octets), model::Port{443}};
  });
  fill_vips(
      [&](unsigned i) { return v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, i); });
  fill_vips([&](unsigned i) {
    return v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, low(i), 0, 0, 0, 0, 0, 0, 0, low(i)}, 443);
  });
  fill_vips([&](unsigned i) { return v6({0x20, 1, 0xd, 0xb8, low(i)}, 443); });

  fill_vips([&](unsigned i) {
    return v6({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, low(i)}, 8000 + i);
  });

  for (std::size_t at = 0; at < 5; ++at) {
    Memory<MacLayout> memory;
    model::MacAddress mac{{2, 0, 0x5e, 0, 0, 0}};
    for (unsigned i = 0; i < QS_MAX_SERVERS; ++i) {
      mac.octets[at] = low(i >> 8);
      mac.octets[at + 1] = low(i);
      REQUIRE(memory.table.set(mac_word(mac), {}));
    }
    CHECK(memory.table.size() == QS_MAX_SERVERS);
  }
}

}  // namespace lbctl::kernel::xdp
