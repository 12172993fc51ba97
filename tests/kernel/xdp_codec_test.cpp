// Between the model and the map values; and how errors of libbpf read.
#include <doctest/doctest.h>

#include <cstring>

#include "codec.hpp"
#include "libbpf_error.hpp"

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

TEST_CASE("every scheme within the limits survives the way there and back") {
  int schemes = 0;
  for (std::uint8_t config = 0; config <= 6; ++config)
    for (std::uint8_t id = 1; id <= 8; ++id)
      for (std::uint8_t nonce = 4; 1 + id + nonce <= 20; ++nonce) {
        const model::CidScheme scheme{config, id, nonce};
        const auto value = encode(scheme);
        REQUIRE(value);
        const auto back = decode(*value);
        REQUIRE(back);
        CHECK(*back == scheme);
        ++schemes;
      }
  CHECK(schemes == 7 * (15 + 14 + 13 + 12 + 11 + 10 + 9 + 8));
}

TEST_CASE("schemes outside the limits are refused") {
  for (const model::CidScheme scheme :
       {model::CidScheme{7, 2, 6}, {0, 0, 6}, {0, 9, 6}, {0, 2, 3}, {0, 2, 18}, {0, 8, 12}})
    CHECK_FALSE(encode(scheme));
}

TEST_CASE("a row that another version wrote is a conflict, not a guess") {
  auto row = *encode(model::CidScheme{});
  row.nr_slots = 2;
  CHECK(decode(row).error().code() == Errc::conflict);
  row = *encode(model::CidScheme{});
  row.slot[0].cipher = 1;
  CHECK(decode(row).error().code() == Errc::conflict);
  CHECK(decode(qs_service{}).error().code() == Errc::conflict);
  CHECK(decode(__u64{3} << QS_KIND_SHIFT).error().code() == Errc::conflict);
}

TEST_CASE("server ids: 1..2^63-1") {
  CHECK_FALSE(encode(model::ServerId{0}));
  CHECK_FALSE(encode(model::ServerId{std::uint64_t{1} << 63}));
  CHECK(encode(model::ServerId{(std::uint64_t{1} << 63) - 1})->id == (std::uint64_t{1} << 63) - 1);
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
  CHECK(error.hint() == "run it as root: BPF needs CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN");
  CHECK(bpf_error(ENOSYS, "x").code() == Errc::unsupported);
}

}  // namespace lbctl::kernel::xdp
