// What files of /proc and of the modules' folder say.
#include "machine/text.hpp"

#include <doctest/doctest.h>

using namespace lbctl::kernel::machine;
using Names = std::set<std::string>;

TEST_CASE("machine: the unit of a process, by its control group") {
  CHECK(unit_of("0::/system.slice/nginx.service\n") == "nginx.service");
  CHECK(unit_of("0::/system.slice/system-web.slice/web@1.service/workers\n") == "web@1.service");
  CHECK(unit_of("12:cpu:/\n1:name=systemd:/system.slice/haproxy.service\n0::/\n") ==
        "haproxy.service");
  CHECK(unit_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n") ==
        "web.service");
  for (const auto* none :
       {"", "0::/\n", "0::/user.slice/user-0.slice/session-3.scope\n", "garbage",
        "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "0::/docker/4711\n"})
    CHECK_MESSAGE(unit_of(none).empty(), none);
}

TEST_CASE("machine: a descriptor's socket") {
  CHECK(socket_inode("socket:[4711]") == 4711);
  for (const auto* other : {"", "pipe:[4711]", "socket:[", "socket:[]", "socket:[x]",
                            "socket:[99999999999999]", "/dev/null"})
    CHECK_MESSAGE(!socket_inode(other), other);
}

TEST_CASE("machine: capabilities in force") {
  CHECK(capabilities("Name:\tx\nCapPrm:\t00000000000000ff\nCapEff:\t0000000000003000\n") == 0x3000);
  CHECK(capabilities("Name:\tx\n") == 0);
}

TEST_CASE("machine: modules loaded, built in and on the disk") {
  Names names;
  add_module_files(
      "kernel/net/netfilter/ipvs/ip_vs_mh.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
      "kernel/net/sched/sch-x.ko:\nkernel/fs/ext4/ext4.ko\nno module\n",
      names);
  add_loaded_modules("ip_vs_rr 16384 0 - Live 0x0\nveth 4 0 - Live 0x0", names);
  CHECK(names == Names{"ext4", "ip_vs_mh", "ip_vs_rr", "sch_x", "veth"});
}
