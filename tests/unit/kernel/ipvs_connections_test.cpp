#include <doctest/doctest.h>

#include "lbctl/kernel/ipvs.hpp"

using namespace lbctl;
using kernel::decode_connection;
using model::Flow;
using model::IpAddress;
using model::Port;

// As Linux 6.1 prints them.
TEST_CASE("ipvs connections: an entry of each family") {
  const auto v4 = decode_connection(
      "TCP C6336407 C738 C0000264 01BB C000020B 01BB ESTABLISHED     899                 ");
  REQUIRE(v4);
  CHECK(v4->first == *Flow::parse("198.51.100.7:51000 -> 192.0.2.100:443/tcp"));
  CHECK(v4->second ==
        model::IpvsConnection{{*IpAddress::parse("192.0.2.11"), Port{443}}, "ESTABLISHED", 899});
  const auto v6 = decode_connection(
      "UDP 2001:0db8:000a:0000:0000:0000:0000:0002 9C40 2001:0db8:0100:0000:0000:0000:0000:0100 "
      "01BB "
      "2001:0db8:0100:0000:0000:0000:0000:000c 01BB UDP             298");
  REQUIRE(v6);
  CHECK(v6->first == *Flow::parse("[2001:db8:a::2]:40000 -> [2001:db8:100::100]:443/udp"));
  CHECK(v6->second.destination.address == *IpAddress::parse("2001:db8:100::c"));
}

TEST_CASE("ipvs connections: what is no entry of TCP or UDP is left out") {
  for (const auto* line :
       {"", "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData",
        "SCT C6336407 C738 C0000264 01BB C000020B 01BB ESTABLISHED     899",
        "TCP C6336407 C738 C0000264 01BB C000020B 01BB ESTABLISHED",
        "TCP C63364 C738 C0000264 01BB C000020B 01BB ESTABLISHED     899",
        "TCP C6336407 C738 C0000264 XYZ C000020B 01BB ESTABLISHED     899"})
    CHECK_FALSE(decode_connection(line));
}
