#include <doctest/doctest.h>

#include "rtnl/probe.hpp"

using namespace lbctl;
using namespace lbctl::kernel::rtnl;

namespace {

const model::IpAddress vip = model::IpAddress::parse("192.0.2.100").value();
constexpr model::MacAddress mac{{2, 0, 0, 0, 0, 0x12}}, mine{{2, 0, 0, 0, 0, 1}};

}  // namespace

TEST_CASE("arp: a probe names no address of the sender (RFC 5227)") {
  CHECK(arp_probe(vip, mine) ==
        Frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0,   6, 4, 0,
              1,    2,    0,    0,    0,    0,    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 100});
}

TEST_CASE("arp: who answers") {
  const Frame reply = arp_frame(arp_reply, {mac, vip}, {mine, {}});
  const auto said = read_arp_reply(reply);
  REQUIRE(said);
  CHECK(said->first == vip);
  CHECK(said->second == mac);
  Frame padded = reply;
  padded.resize(60);
  CHECK(read_arp_reply(padded));
  CHECK(!read_arp_reply(arp_probe(vip, mine)));
  for (std::size_t length = 0; length < reply.size(); ++length)
    CHECK(!read_arp_reply(std::span(reply).first(length)));
}
