// Every row of the decision table, for every connection ID scheme, both families, and no, one and
// two VLAN tags: the exact verdict, octets and counter, as the judge of the differential test has
// them from the table by another way.
#include <random>

#include "judge.hpp"
#include "reference.hpp"
#include "schemes.hpp"
#include "server.hpp"

namespace lbctl::tests {

namespace {

using model::SteeredKey;

const auto far_hop = mac("02:00:00:00:00:99");

/// Of each kind of server one, and how the service is read.
struct Cast {
  ServerId here, near, unresolved, far, far_unresolved, nobody;
};

/// Six ids of the scheme that differ in their lowest octet.
Cast cast_of(const CidScheme& scheme) {
  const ServerId base = some_id(scheme);
  const auto one = [&](std::uint64_t number) {
    ServerId out = base;
    out.low = (out.low & ~std::uint64_t{7}) | number;
    return out;
  };
  return {one(1), one(2), one(3), one(4), one(5), one(6)};
}

/// The tables and the world that says the same.
class Stage {
 public:
  Stage() { REQUIRE(steering_.tables().set_self({self})); }

  void play(const CidScheme& scheme, bool keep_long, bool drop_unknown) {
    for (const auto& [id, target] : world_.state.servers)
      REQUIRE(steering_.tables().remove_server(id));
    const Cast cast = cast_of(scheme);
    const model::SteerTunnel tunnel{ip("192.0.2.11"), ip("198.51.100.3"), 1000};
    world_.state.servers = {{cast.here, {true, {}, {}}},
                            {cast.near, {false, peer, {}}},
                            {cast.unresolved, {false, {}, {}}},
                            {cast.far, {false, far_hop, tunnel}},
                            {cast.far_unresolved, {false, {}, tunnel}}};
    for (const auto& [id, target] : world_.state.servers)
      REQUIRE(steering_.tables().set_server(id, target));
    for (const char* vip : {"192.0.2.100", "2001:db8:100::100"}) {
      const SteeredKey key{ip(vip), Port{443}};
      const model::SteeredService service{{scheme}, keep_long, drop_unknown};
      REQUIRE(steering_.tables().set_service(key, service));
      world_.state.services.insert_or_assign(key, service);
    }
    world_.self = {self};
    world_.peers = {peer};
  }

  /// The program does what the judge says; returns what that is.
  Judgement check(const Bytes& packet) {
    Judgement want = judge(world_, packet);
    const Answer answer = steering_.run(packet);
    CHECK(answer.verdict == (want.verdict == Verdict::send   ? "TX"
                             : want.verdict == Verdict::drop ? "DROP"
                                                             : "PASS"));
    if (want.verdict != Verdict::drop) CHECK(answer.bytes == want.packet);
    CHECK(answer.counted == counters(want.counted));
    return want;
  }

 private:
  static XdpCounters counters(std::optional<qs_outcome> outcome) {
    XdpCounters out;
    std::uint64_t* const by_outcome[] = {&out.steered,       &out.local,      &out.from_peer,
                                         &out.other_station, &out.too_short,  &out.unroutable,
                                         &out.long_header,   &out.unknown_id, &out.unresolved,
                                         &out.ttl_expired,   &out.too_big,    &out.unwrapped};
    static_assert(std::size(by_outcome) == QS_NR_OUTCOMES);
    if (outcome) *by_outcome[*outcome] = 1;
    return out;
  }

  Steering steering_;
  World world_;
};

/// One packet for each row; `cid` makes a connection ID of a server.
std::vector<Bytes> rows(int version, std::size_t tags, const Cast& cast, auto&& cid) {
  const auto base = [&](const Bytes& payload) {
    Frame frame = with(version, payload);
    for (std::size_t i = 0; i < tags; ++i)
      frame.tags.push_back(i == 0 ? 0x88a8 : 0x8100);
    return frame;
  };
  std::vector<Bytes> out;
  for (const ServerId& id :
       {cast.here, cast.near, cast.unresolved, cast.far, cast.far_unresolved, cast.nobody}) {
    const Bytes of_id = cid(id);
    const Frame plain = base(short_packet(of_id)), initial = base(long_packet(of_id));
    const auto add = [&](Frame frame, auto&& change) {
      change(frame);
      out.push_back(frame.bytes());
    };
    for (const Frame& frame : {plain, initial}) {
      add(frame, [](Frame&) {});
      add(frame, [](Frame& f) { f.port = 444; });
      add(frame, [](Frame& f) { f.from = peer; });
      add(frame, [](Frame& f) { f.to = mac("02:00:00:00:00:33"); });
      add(frame, [](Frame& f) { f.ttl = 1; });
      add(frame, [](Frame& f) { f.payload.resize(10); });
      add(frame, [](Frame& f) { f.payload.resize(970); });
      add(frame, [&](Frame& f) { f.payload[version == 4 ? 0 : 3] ^= 0x20; });
      if (version == 4) add(frame, [](Frame& f) { f.fragment = 0x2000; });
      out.push_back(wrapped(frame, ip("198.51.100.3"), ip("192.0.2.11")));
      out.push_back(wrapped(frame, ip("198.51.100.4"), ip("192.0.2.11")));
    }
    Frame ours = base(server_packet(Bytes(8, 0xe1), of_id));
    ours.tags.clear();
    std::swap(ours.source, ours.destination);
    std::swap(ours.source_port, ours.port);
    Frame error = base({});
    error.icmp = icmp_error(version == 4 ? 3 : 1, ours);
    out.push_back(error.bytes());
    out.push_back(base(long_packet(Bytes(8, 0xe1))).bytes());
  }
  return out;
}

/// Everything takes a sanitized build many minutes: there a sixth of it, with every outcome.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t step = 3;
#else
constexpr std::size_t step = 1;
#endif

/// Every way of reading an id, and each of the layouts in use.
std::vector<CidScheme> schemes_in_use() {
  return {quic_lb(0, 2, 6),   quic_lb(3, 8, 8),   quic_lb(6, 10, 6), encrypted(0, 2, 14),
          encrypted(1, 2, 8), encrypted(2, 6, 5), msquic(),          katran(1),
          katran(2),          katran(3),          dpvs(3),           dpvs(4),
          raw(8, 4, 20),      raw(0, 1, 8)};
}

}  // namespace

TEST_CASE("every row x scheme x family x tags: verdict, octets and counter") {
  Stage stage;
  std::mt19937 random(3);
  std::set<qs_outcome> seen;
  const auto schemes = schemes_in_use();
  for (std::size_t n = 0; n < schemes.size(); n += step) {
    const CidScheme& scheme = schemes[n];
    for (const bool strict : {false, true}) {
      if (step > 1 && strict != (n / step % 2 == 0)) continue;
      stage.play(scheme, strict, strict);
      const auto cid = [&](const ServerId& id) {
        Bytes octets(20);
        for (auto& octet : octets)
          octet = static_cast<std::uint8_t>(random());
        return encode_cid(scheme, id, octets);
      };
      for (const int version : {4, 6})
        for (const std::size_t tags : {0u, 1u, 2u}) {
          CAPTURE(name(scheme.format));
          CAPTURE(version);
          CAPTURE(tags);
          CAPTURE(strict);
          for (const Bytes& packet : rows(version, tags, cast_of(scheme), cid))
            if (const auto outcome = stage.check(packet).counted) seen.insert(*outcome);
        }
    }
  }
  CHECK(seen.size() == QS_NR_OUTCOMES);  // no row is left out
}

}  // namespace lbctl::tests
