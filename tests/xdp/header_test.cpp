// include/lbctl/cid.h against the reference and the draft's vectors.
#include <doctest/doctest.h>

#include <random>

#include "lbctl/cid.h"
#include "reference.hpp"
#include "schemes.hpp"
#include "vectors.hpp"

namespace lbctl::tests {

namespace {

void cipher(void* context, int decipher, std::uint8_t* block) {
  const auto& aes = *static_cast<const Aes128*>(context);
  Aes128::Block octets{};
  std::copy_n(block, octets.size(), octets.begin());
  const auto out = decipher != 0 ? aes.decrypt(octets) : aes.encrypt(octets);
  std::ranges::copy(out, block);
}

lbctl_cid as_header(const model::CidScheme& scheme, Aes128& aes) {
  const lbctl_cid_scheme names[] = {LBCTL_CID_QUIC_LB, LBCTL_CID_MSQUIC, LBCTL_CID_KATRAN,
                                    LBCTL_CID_DPVS, LBCTL_CID_RAW};
  lbctl_cid out{};
  out.scheme = names[static_cast<int>(scheme.format)];
  out.config = scheme.config;
  out.id_length = scheme.id_length;
  out.nonce_length = scheme.nonce_length;
  out.version = scheme.version;
  out.offset = scheme.offset;
  out.length = scheme.length;
  out.aes = scheme.encrypted ? cipher : nullptr;
  out.context = &aes;
  return out;
}

Bytes octets_of(const model::ServerId& id, std::size_t length) {
  Bytes out(length);
  for (std::size_t i = 0; i < length; ++i)
    out[length - 1 - i] = static_cast<std::uint8_t>((i < 8 ? id.low : id.high) >> (8 * (i % 8)));
  return out;
}

}  // namespace

TEST_CASE("cid.h makes and reads what the reference does, in every scheme") {
  std::mt19937 random(1);
  for (const model::CidScheme& scheme : all_schemes()) {
    Aes128 aes(some_key.octets());
    const lbctl_cid layout = as_header(scheme, aes);
    REQUIRE(lbctl_cid_length(&layout) == scheme.cid_length());
    const Bytes id = octets_of(some_id(scheme), lbctl_cid_id_length(&layout));
    Bytes cid(20);
    for (auto& octet : cid)
      octet = static_cast<std::uint8_t>(random());
    const Bytes expected = encode_cid(scheme, some_id(scheme), cid);
    REQUIRE(lbctl_cid_make(&layout, id.data(), cid.data()) == expected.size());
    CHECK(Bytes(cid.begin(), cid.begin() + scheme.cid_length()) == expected);
    Bytes read(20);
    const std::size_t length = lbctl_cid_read(&layout, cid.data(), expected.size(), read.data());
    read.resize(length);
    CHECK(read == id);
    CHECK(lbctl_cid_read(&layout, cid.data(), expected.size() - 1, read.data()) == 0);
  }
}

TEST_CASE("cid.h agrees with every vector") {
  for (const Vector& vector : vectors()) {
    Aes128 aes(vector.scheme.key.value_or(some_key).octets());
    lbctl_cid layout = as_header(vector.scheme, aes);
    layout.tell_length = 1;
    const Bytes id = octets_of(vector.id, vector.scheme.id_length);
    Bytes cid = join({Bytes(1 + id.size()), vector.nonce});
    CHECK(lbctl_cid_make(&layout, id.data(), cid.data()) == vector.cid.size());
    CHECK(Bytes(cid.begin() + 1, cid.end()) == Bytes(vector.cid.begin() + 1, vector.cid.end()));
    CHECK((cid[0] >> 5) == vector.scheme.config);
    Bytes read(15);
    read.resize(lbctl_cid_read(&layout, vector.cid.data(), vector.cid.size(), read.data()));
    CHECK(read == id);
  }
}

TEST_CASE("cid.h refuses impossible layouts and connection IDs of others") {
  Bytes octets(20, 0xff);
  const auto impossible = [](lbctl_cid layout) {
    Bytes cid(32, 0xee);
    const Bytes id(16, 1);
    return lbctl_cid_length(&layout) == 0 && lbctl_cid_make(&layout, id.data(), cid.data()) == 0 &&
           cid == Bytes(32, 0xee);
  };
  CHECK(impossible({.scheme = LBCTL_CID_QUIC_LB, .config = 7, .id_length = 2, .nonce_length = 6}));
  CHECK(impossible({.scheme = LBCTL_CID_QUIC_LB, .id_length = 15, .nonce_length = 5}));
  CHECK(impossible({.scheme = LBCTL_CID_QUIC_LB, .id_length = 2, .nonce_length = 3}));
  CHECK(impossible({.scheme = LBCTL_CID_KATRAN}));
  CHECK(impossible({.scheme = LBCTL_CID_DPVS, .id_length = 5}));
  CHECK(impossible({.scheme = LBCTL_CID_RAW, .id_length = 4, .offset = 17, .length = 21}));
  const lbctl_cid quic_lb{.scheme = LBCTL_CID_QUIC_LB, .id_length = 2, .nonce_length = 6};
  const lbctl_cid katran{.scheme = LBCTL_CID_KATRAN, .version = 2};
  const lbctl_cid dpvs{.scheme = LBCTL_CID_DPVS, .id_length = 3};
  Bytes id(16);
  CHECK(lbctl_cid_read(&quic_lb, octets.data(), 20, id.data()) == 0);
  CHECK(lbctl_cid_read(&katran, octets.data(), 20, id.data()) == 0);
  CHECK(lbctl_cid_read(&dpvs, octets.data(), 20, id.data()) == 0);
}

}  // namespace lbctl::tests
