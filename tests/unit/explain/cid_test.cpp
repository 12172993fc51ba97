#include "lbctl/explain/cid.hpp"

#include <doctest/doctest.h>

using namespace lbctl;
using explain::misfit;
using explain::parse_octets;
using explain::read_slots;

namespace {

model::CidScheme quic_lb(std::uint8_t config) {
  return {.config = config};
}

std::string why(const model::CidScheme& scheme, std::string_view cid) {
  return misfit(scheme, *parse_octets(cid));
}

}  // namespace

TEST_CASE("explain: a connection ID that does not fit is told why") {
  CHECK(why(quic_lb(0), "080005a1a2a3a4a5a6") == "");
  CHECK(why(quic_lb(0), "280005a1a2a3a4a5a6") == "its config is 1, not 0");
  CHECK(why(quic_lb(0), "080005a1a2a3a4a5") == "it has 8 octets, not 9");
  CHECK(why({.format = model::CidFormat::katran, .version = 2}, "4001400000000000") ==
        "its version is 1, not 2");
  CHECK(why({.id_length = 3, .format = model::CidFormat::dpvs}, "00600010000000000000") ==
        "its address has 4 octets, not 3");
  CHECK(why({.format = model::CidFormat::msquic}, "0000") == "it has 2 octets, not 14");
  CHECK(why({.format = model::CidFormat::msquic}, "e0000000000000000000000000ff") == "");
}

TEST_CASE("explain: the first slot that fits decides, and the later ones are not asked") {
  const std::vector<model::CidScheme> slots{
      quic_lb(1), quic_lb(0), {.format = model::CidFormat::raw, .length = 4}};
  const auto all = read_slots(slots, *parse_octets("080005a1a2a3a4a5a6"));
  REQUIRE(all.size() == 3);
  CHECK(all[0].misfit == "its config is 0, not 1");
  CHECK_FALSE(all[0].id);
  CHECK(all[1].id == model::ServerId{.low = 5});
  CHECK(all[1].asked);
  CHECK_FALSE(all[2].asked);
}

TEST_CASE("explain: octets are 1 to 20, in hexadecimal") {
  CHECK(parse_octets("0aFF") == explain::Octets{0x0a, 0xff});
  for (const auto* wrong : {"", "0", "0g", "0x0a", "00112233445566778899aabbccddeeff0011223344"})
    CHECK_FALSE(parse_octets(wrong));
}
