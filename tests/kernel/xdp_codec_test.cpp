// Between the model and the map values; and how errors of libbpf read.
#include <doctest/doctest.h>

#include <cstring>

#include "codec.hpp"
#include "libbpf/libbpf_error.hpp"
#include "schemes.hpp"

namespace lbctl::kernel::xdp {

TEST_CASE("a steered service's key keeps the octets in the packet's order") {
  const model::SteeredKey v4{*model::IpAddress::parse("192.0.2.100"), model::Port{443}};
  const auto key = encode(v4);
  const std::uint8_t address[] = {192, 0, 2, 100, 0, 0, 0, 0};
  const std::uint8_t port[] = {0x01, 0xbb, 4, 0};
  CHECK(key.addr[0] == 0);
  CHECK(std::memcmp(&key.addr[1], address, sizeof address) == 0);
  CHECK(std::memcmp(&key.port_family, port, sizeof port) == 0);
  CHECK(decode(key) == v4);

  const model::SteeredKey v6{*model::IpAddress::parse("2001:db8::1:100"), model::Port{8443}};
  CHECK(decode(encode(v6)) == v6);
  CHECK(std::memcmp(encode(v6).addr, v6.address.octets().data(), 16) == 0);
  // The same 128 bits as an IPv4 key, in the other family.
  const model::SteeredKey like_v4{*model::IpAddress::parse("::c000:264:0:0"), model::Port{443}};
  CHECK_FALSE(encode(like_v4) == key);
}

TEST_CASE("every scheme survives the way there and back, its key with it") {
  const auto all = tests::all_schemes();
  CHECK(all.size() == 6 + 2 * (15 * 16 / 2) + (20 + 19 + 18 + 17 + 16 + 15 + 14 + 13));
  for (const model::CidScheme& scheme : all) {
    CAPTURE(name(scheme.format));
    const auto value = encode({{scheme}});
    REQUIRE(value);
    const auto back = decode(*value);
    REQUIRE(back);
    CHECK(*back == model::SteeredService{{scheme}});
  }
  const model::SteeredService several = {
      {tests::encrypted(0, 3, 4), tests::quic_lb(1, 2, 6), tests::katran(2)}, true, false};
  CHECK(*decode(*encode(several)) == several);
  model::SteeredService other_key = several;
  other_key.cids[0].key = tests::key_of(tests::Bytes(16, 1));
  CHECK_FALSE(*decode(*encode(other_key)) == several);
}

TEST_CASE("schemes outside the limits are refused") {
  auto no_key = tests::encrypted(0, 2, 6);
  no_key.key.reset();
  for (const model::CidScheme& scheme :
       {tests::quic_lb(7, 2, 6), tests::quic_lb(0, 0, 6), tests::quic_lb(0, 16, 4),
        tests::quic_lb(0, 2, 3), tests::quic_lb(0, 2, 18), tests::quic_lb(0, 8, 12), no_key,
        tests::katran(0), tests::katran(4), tests::dpvs(2), tests::dpvs(5), tests::raw(0, 9, 9),
        tests::raw(0, 0, 8), tests::raw(4, 4, 7), tests::raw(17, 4, 21)})
    CHECK_FALSE(encode({{scheme}}));
  CHECK_FALSE(encode(model::SteeredService{}));
  CHECK(encode({model::CidSchemes(QS_MAX_SLOTS, tests::msquic())}));
  CHECK_FALSE(encode({model::CidSchemes(QS_MAX_SLOTS + 1, tests::msquic())}));
}

TEST_CASE("a row that another version wrote is a conflict, not a guess") {
  const auto good = *encode({{tests::encrypted(2, 3, 4)}});
  const auto refused = [&](auto&& change) {
    qs_service row = good;
    change(row);
    const auto read = decode(row);
    return !read && read.error().code() == Errc::conflict;
  };
  CHECK_FALSE(refused([](qs_service&) {}));
  CHECK(refused([](qs_service& row) { row = {}; }));
  CHECK(refused([](qs_service& row) { row.nr_slots = 2; }));
  CHECK(refused([](qs_service& row) { row.nr_slots = QS_MAX_SLOTS + 1; }));
  CHECK(refused([](qs_service& row) { row.flags = 4; }));
  CHECK(refused([](qs_service& row) { row.slot[0].reading = QS_AES_SINGLE; }));
  CHECK(refused([](qs_service& row) { row.slot[0].passes = 4; }));
  CHECK(refused([](qs_service& row) { row.slot[0].id_octet = 3; }));
  CHECK(refused([](qs_service& row) { row.slot[0].scheme = 200; }));
  CHECK(refused([](qs_service& row) { row.slot[0].round_key[7] ^= 1; }));
  CHECK(decode(__u64{15} << QS_KIND_SHIFT).error().code() == Errc::conflict);
  CHECK(decode(ServerLayout::Key{{5, 0}, 9}).error().code() == Errc::conflict);
}

TEST_CASE("server ids: 1..2^120-1") {
  CHECK_FALSE(encode(model::ServerId{0}));
  CHECK_FALSE(encode(model::ServerId{.low = 5, .high = std::uint64_t{1} << 56}));
  const model::ServerId largest{.low = ~std::uint64_t{0}, .high = (std::uint64_t{1} << 56) - 1};
  REQUIRE(encode(largest));
  CHECK(*decode(*encode(largest)) == largest);
  const model::ServerId address{.low = 11, .space = model::IdSpace::ipv4};
  CHECK(*decode(*encode(address)) == address);
}

TEST_CASE("targets: local, a peer, a peer without an address") {
  const model::MacAddress mac{{2, 0, 0x5e, 0, 0, 0xff}};
  for (const model::SteerTarget target :
       {model::SteerTarget{true, {}}, {false, mac}, {false, {}}, {true, mac}})
    CHECK(*decode(encode(target)) == target);
  // In the order in which the program stores it into the frame.
  const __u64 word = encode(model::SteerTarget{false, mac});
  CHECK(std::memcmp(&word, mac.octets.data(), 6) == 0);
}

TEST_CASE("the verifier's log is cut to the lines that say why") {
  CHECK(last_words("0: (bf) r6 = r1\n; if (x)\nR2 invalid mem access 'scalar'\n"
                   "processed 594 insns (limit 1000000) max_states_per_insn 3\n") ==
        "; if (x); R2 invalid mem access 'scalar'");
  CHECK(last_words("").empty());
  CHECK(last_words("libbpf: no newline at the end") == "libbpf: no newline at the end");
}

TEST_CASE("errors of BPF calls carry code and hint, whatever their sign") {
  const Error error = bpf_error(-EPERM, "load the XDP program");
  CHECK(error.code() == Errc::permission);
  CHECK(error.text() == "load the XDP program: Operation not permitted (EPERM)");
  CHECK(error.hint() == "run it as root: BPF needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
  CHECK(bpf_error(ENOSYS, "x").code() == Errc::unsupported);
}

}  // namespace lbctl::kernel::xdp
