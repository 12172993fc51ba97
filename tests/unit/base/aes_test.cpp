// AES-128 against the examples of FIPS 197 and NIST's AESAVS.
#include "lbctl/base/aes.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using lbctl::Aes128;

namespace {

Aes128::Block counting(std::uint8_t step) {
  Aes128::Block out{};
  for (std::uint8_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(i * step);
  return out;
}

}  // namespace

TEST_CASE("aes: the example of FIPS 197, appendix C.1, both ways") {
  const Aes128 aes(counting(0x01));
  const Aes128::Block plain = counting(0x11);
  const Aes128::Block cipher{0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                             0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
  CHECK(aes.encrypt(plain) == cipher);
  CHECK(aes.decrypt(cipher) == plain);
}

TEST_CASE("aes: the key schedule of FIPS 197, appendix A.1") {
  const Aes128 aes({0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09,
                    0xcf, 0x4f, 0x3c});
  CHECK(aes.round_keys()[4] == 0xa0fafe17);
  CHECK(aes.round_keys()[43] == 0xb6630ca6);
  // The order of use of the inverse cipher: the last round key first, and the first one last.
  const auto inverse = aes.inverse_round_keys();
  CHECK(inverse[3] == 0xb6630ca6);
  CHECK(inverse[40] == 0x2b7e1516);
}

TEST_CASE("aes: a key is wiped with its schedule") {
  alignas(Aes128) unsigned char memory[sizeof(Aes128)];
  auto* aes = new (memory) Aes128(counting(1));
  CHECK(std::ranges::any_of(memory, [](unsigned char octet) { return octet != 0; }));
  aes->~Aes128();
  CHECK(std::ranges::all_of(memory, [](unsigned char octet) { return octet == 0; }));
}
