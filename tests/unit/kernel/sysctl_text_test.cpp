#include "sysctl/text.hpp"

#include <doctest/doctest.h>

using namespace lbctl;
using kernel::sysctl::missing;
using kernel::sysctl::normalised;
using kernel::sysctl::safe_path;

TEST_CASE("sysctl: a path stays below /proc/sys or is refused") {
  for (const char* path : {"net/ipv4/ip_forward", "net/ipv4/conf/eth0.100/arp_ignore",
                           "net/ipv4/conf/..a/arp_ignore", "kernel"})
    CHECK_MESSAGE(safe_path(path), path);
  for (const char* path : {"", "/etc/passwd", "net/../../etc/passwd", "..", "net/..", "./net",
                           "net//ipv4", "net/", "net/./ipv4"})
    CHECK_MESSAGE(!safe_path(path), path);
  CHECK(!safe_path(std::string_view("net\0ipv4", 8)));
}

TEST_CASE("sysctl: fields are separated by one space") {
  CHECK(normalised("4096\t131072\t6291456\n") == "4096 131072 6291456");
  CHECK(normalised(" 1 \n") == "1");
  CHECK(normalised("\n").empty());
  CHECK(normalised("").empty());
  CHECK(normalised("a  b") == "a b");
}

TEST_CASE("sysctl: what is missing says why") {
  CHECK(missing("net/ipv4/vs/conntrack").code() == Errc::unsupported);
  CHECK(missing("net/ipv4/vs/conntrack").hint() == "modprobe ip_vs (kernel option CONFIG_IP_VS)");
  CHECK(missing("net/mptcp/enabled").hint().find("CONFIG_MPTCP") != std::string::npos);
  const Error device = missing("net/ipv4/conf/eth0.100/arp_ignore");
  CHECK(device.code() == Errc::not_found);
  CHECK(device.text() ==
        "sysctl net.ipv4.conf.eth0/100.arp_ignore: is there a device eth0.100?: No such file or "
        "directory (ENOENT)");
  CHECK(device.hint() == "ip link show eth0.100");
  CHECK(missing("net/ipv4/conf/all/nothing").code() == Errc::unsupported);
  CHECK(missing("net/ipv6/conf/all/accept_ra").hint().find("CONFIG_IPV6") != std::string::npos);
}
