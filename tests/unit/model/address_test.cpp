#include "lbctl/model/address.hpp"

#include <doctest/doctest.h>

#include "lbctl/model/node_state.hpp"

using namespace lbctl::model;

TEST_CASE("address: what is not exactly an address is refused") {
  for (const char* text : {"", "192.0.2", "192.0.2.1/24", "192.0.2.256", "fe80::1%eth0", "[::1]",
                           "192.0.2.1 ", "0x7f.1", "2001:db8::g"}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11)));
}

TEST_CASE("address: prints in canonical form, with brackets only before a port") {
  CHECK(IpAddress::parse("2001:DB8:0:0::100")->text() == "2001:db8::100");
  CHECK(endpoint_text(*IpAddress::parse("2001:db8::1"), Port{443}) == "[2001:db8::1]:443");
  CHECK(endpoint_text(*IpAddress::parse("192.0.2.1"), Port{80}) == "192.0.2.1:80");
}

TEST_CASE("address: IPv4 sorts before IPv6, whatever the octets") {
  CHECK(*IpAddress::parse("255.255.255.255") < *IpAddress::parse("::"));
}

TEST_CASE("sysctl: a dot in a device name becomes a slash, as sysctl(8) has it") {
  CHECK(sysctl_name("net/ipv4/conf/eth0.100/arp_ignore") == "net.ipv4.conf.eth0/100.arp_ignore");
}
