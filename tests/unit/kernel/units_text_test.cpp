// The texts of mptcpizing: drop-ins, what other files of a unit say, cgroups.
#include <doctest/doctest.h>

#include "drop_in.hpp"
#include "socket_hook.hpp"
#include "unit_files.hpp"

using namespace lbctl;
using namespace lbctl::kernel::units;
using model::AskedBy;
using model::MptcpizedUnit;
using model::MptcpWay;

namespace {

Environment environment(std::string_view text) {
  Environment out;
  read_unit_text(text, out);
  return out;
}

}  // namespace

TEST_CASE("drop-in: LD_PRELOAD ends in the library, and nothing in it is expanded anew") {
  CHECK(preload_text("nginx.service", AskedBy::file, "", "/usr/lib/x/libmptcpwrap.so.0.0.1") ==
        "# lbctl mptcpize: way=preload asked-by=file\n"
        "# nginx.service listens with MPTCP. Written and removed by lbctl: see mptcpize in "
        "lbctl(8).\n"
        "[Service]\n"
        "Environment=\"LD_PRELOAD=/usr/lib/x/libmptcpwrap.so.0.0.1\"\n");
  const std::string text =
      preload_text("a.service", AskedBy::hand, "%h/\"odd\".so lib\\b.so", "/lib/100%.so");
  CHECK(
      text.ends_with("[Service]\n"
                     "Environment=\"LD_PRELOAD=%h/\\\"odd\\\".so lib\\\\b.so /lib/100%%.so\"\n"));
}

TEST_CASE("drop-in: by BPF the unit enters its cgroup as root, and starts in any case") {
  CHECK(bpf_text("a.service", AskedBy::hand, "/usr/sbin/lbctl")
            .ends_with("[Service]\nExecStartPre=\"-+/usr/sbin/lbctl\" mptcpize --enter "
                       "\"a.service\"\n"));
  CHECK(bpf_text("a\\x2db.service", AskedBy::hand, "/o pt/1%/lbctl")
            .ends_with("ExecStartPre=\"-+/o pt/1%%/lbctl\" mptcpize --enter "
                       "\"a\\\\x2db.service\"\n"));
}

TEST_CASE("drop-in: its first line tells lbctl's own from others'") {
  for (const AskedBy asked_by : {AskedBy::file, AskedBy::hand}) {
    CHECK(parse_mark(preload_text("a.service", asked_by, "", "/l")) ==
          MptcpizedUnit{MptcpWay::preload, asked_by, true});
    CHECK(parse_mark(bpf_text("a.service", asked_by, "/l")) ==
          MptcpizedUnit{MptcpWay::bpf, asked_by, true});
  }
  for (const char* text : {"", "[Service]\n", "# lbctl mptcpize: way=bpf\n",
                           "\n# lbctl mptcpize: way=bpf asked-by=file\n",
                           "# lbctl mptcpize: way=bpf asked-by=file or so\n"})
    CHECK_FALSE(parse_mark(text));
}

TEST_CASE("unit files: words are what systemd takes them for") {
  CHECK(unit_words("  A=1\t\"B=x y\" 'C=\"' D=a\\ b \"\" ") ==
        std::vector<std::string>{"A=1", "B=x y", "C=\"", "D=a b", ""});
  CHECK(unit_words("") == std::vector<std::string>{});
}

TEST_CASE("unit files: the last LD_PRELOAD of [Service] counts") {
  CHECK(environment("[Service]\nEnvironment=LD_PRELOAD=a.so B=1\n").preload == "a.so");
  CHECK(environment("[Service]\nEnvironment=\"LD_PRELOAD=a.so b.so\"\n").preload == "a.so b.so");
  CHECK(environment("[Service]\nEnvironment=LD_PRELOAD=a\nEnvironment=LD_PRELOAD=b\n").preload ==
        "b");
  CHECK(environment("[Service]\n Environment = B=1 \\\n# no end\n  LD_PRELOAD=a\n").preload == "a");
  CHECK_FALSE(environment("[Service]\nEnvironment=LD_PRELOAD=a\nEnvironment=\n").preload);
  CHECK_FALSE(environment("[Unit]\nEnvironment=LD_PRELOAD=a\n").preload);
  CHECK_FALSE(environment("[Service]\n#Environment=LD_PRELOAD=a\n").preload);
  CHECK_FALSE(environment("[Service]\nEnvironment=XLD_PRELOAD=a\n").preload);
}

TEST_CASE("unit files: environment files add up until an empty one") {
  CHECK(environment("[Service]\nEnvironmentFile=-/etc/a\nEnvironmentFile=/etc/b\n").files ==
        std::vector<std::string>{"/etc/a", "/etc/b"});
  CHECK(environment("[Service]\nEnvironmentFile=/etc/a\nEnvironmentFile=\n").files.empty());
}

TEST_CASE("cgroup: the unit's in the unified hierarchy") {
  CHECK(unit_cgroup("0::/system.slice/a.service\n") == "/system.slice/a.service");
  CHECK(unit_cgroup("12:cpu:/x\n1:name=systemd:/y\n0::/system.slice/a.service/.control\n") ==
        "/system.slice/a.service");
  CHECK(unit_cgroup("1:name=systemd:/system.slice/a.service\n") == "");
}

TEST_CASE("cgroup: where the unified hierarchy is mounted") {
  const std::string hybrid =
      "32 31 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
      "34 31 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
  CHECK(cgroup2_mount(hybrid) == "/sys/fs/cgroup/unified");
  CHECK(cgroup2_mount("29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n") == "/sys/fs/cgroup");
  CHECK(cgroup2_mount("29 23 0:26 / /proc rw - proc proc rw\n") == "");
}

TEST_CASE("unit names: of services, not of templates, and no way out of the folder") {
  for (const char* unit :
       {"nginx.service", "app@1.service", "a-b_c:d.e.service", "dev-disk\\x2d1.service"})
    CHECK_MESSAGE(model::unit_name_trouble(unit) == "", unit);
  for (const char* unit :
       {"", "nginx", ".service", "nginx.socket", "a/b.service", "../a.service", "app@.service",
        "@1.service", "a b.service", "a%i.service", "..a.service", "é.service"})
    CHECK_MESSAGE(model::unit_name_trouble(unit) != "", unit);
  CHECK(model::unit_name_trouble(std::string(247, 'a') + ".service") == "");
  CHECK(model::unit_name_trouble(std::string(248, 'a') + ".service") != "");
}
