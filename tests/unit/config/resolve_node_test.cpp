// [ipvs] and [mptcp]: what a node sets once.
#include "files.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/model/node_state.hpp"
#include "schema.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;

namespace {

constexpr const char* web = R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
persistence_timeout = "300s"
)";

NodeState state_of(const std::string& text, const char* node) {
  const auto desired = resolve(test::config_of(test::with_nodes(text)), node, {});
  REQUIRE(desired);
  return desired->state;
}

}  // namespace

TEST_CASE("resolve node: timeouts, as seconds, and only those that are named") {
  const NodeState got = state_of("[ipvs]\ntimeout_tcp = \"15m\"\ntimeout_udp = \"10s\"\n", "dir1");
  CHECK(got.ipvs_node.timeouts == IpvsTimeouts{.tcp = 900, .tcp_fin = 0, .udp = 10});
  CHECK(got.ipvs_node.daemons.empty());
  CHECK(got.sysctls.empty());
}

TEST_CASE("resolve node: an empty [ipvs.sync] starts both daemons with the kernel's settings") {
  const SyncDaemon usual{.device = "eth0",
                         .id = 0,
                         .max_length = 1472,
                         .group = test::ip("224.0.0.81"),
                         .port = Port{8848},
                         .ttl = 1};
  const auto got = state_of("[ipvs.sync]\n", "dir1").ipvs_node.daemons;
  CHECK(got ==
        std::map<SyncRole, SyncDaemon>{{SyncRole::master, usual}, {SyncRole::backup, usual}});
}

TEST_CASE("resolve node: all of a daemon's settings, and the director's role") {
  const std::string text = R"(
[directors.dir2]
address = ["192.0.2.20"]
interface = "eth5"
sync = ["backup"]
[ipvs.sync]
interface = "bond0"
id = 255
group = "ff02::81"
port = 9000
ttl = 3
)";
  const auto got = state_of(text, "dir2").ipvs_node.daemons;
  CHECK(got == std::map<SyncRole, SyncDaemon>{{SyncRole::backup,
                                               {.device = "bond0",
                                                .id = 255,
                                                .max_length = 1452,
                                                .group = test::ip("ff02::81"),
                                                .port = Port{9000},
                                                .ttl = 3}}});
}

TEST_CASE("resolve node: sysctls of the file come before lbctl's own") {
  const NodeState own = state_of(web, "dir1");
  CHECK(own.sysctls == SysctlState{{"net/ipv4/vs/conn_reuse_mode", "1"},
                                   {"net/ipv4/vs/conntrack", "0"},
                                   {"net/ipv4/vs/expire_nodest_conn", "1"},
                                   {"net/ipv4/vs/expire_quiescent_template", "1"}});
  const NodeState got = state_of(std::string(web) + R"(
[ipvs.sysctl]
conn_reuse_mode = 2
conntrack = 1
expire_nodest_conn = 0
expire_quiescent_template = 0
est_cpulist = "8,0-1,2,3"
sync_threshold = [3, 50]
[ipvs.sync]
)",
                                 "dir1");
  CHECK(got.sysctls == SysctlState{{"net/ipv4/vs/conn_reuse_mode", "2"},
                                   {"net/ipv4/vs/conntrack", "1"},
                                   {"net/ipv4/vs/est_cpulist", "0-3,8"},
                                   {"net/ipv4/vs/expire_nodest_conn", "0"},
                                   {"net/ipv4/vs/expire_quiescent_template", "0"},
                                   {"net/ipv4/vs/sync_threshold", "3 50"}});
}

TEST_CASE("resolve node: [mptcp] on a server; limits only where one is named") {
  const NodeState got = state_of(std::string(web) + R"(
[mptcp]
add_addr_timeout = "2m"
checksum = true
scheduler = "default"
)",
                                 "rs1");
  CHECK_FALSE(got.mptcp.limits);
  CHECK(got.sysctls.at("net/mptcp/add_addr_timeout") == "120");
  CHECK(got.sysctls.at("net/mptcp/checksum_enabled") == "1");
  CHECK(got.sysctls.at("net/mptcp/scheduler") == "default");
  const NodeState limits = state_of(std::string(web) + "[mptcp]\nsubflows = 3\n", "rs1");
  CHECK(limits.mptcp.limits == MptcpLimits{3, 0});
}

TEST_CASE("resolve node: the kernel that a key needs is told alike by schema and refusal") {
  std::size_t found = 0;
  for (const KeySpec& spec : schema()) {
    const std::string key(spec.pattern);
    std::string path;
    if (key.starts_with("ipvs.sysctl.")) path = "net/ipv4/vs/" + key.substr(12);
    if (key.starts_with("mptcp.")) path = "net/mptcp/" + key.substr(6);
    if (path.empty()) continue;
    CAPTURE(path);
    CHECK(sysctl_since(path) == spec.kernel);
    found += spec.kernel.empty() ? 0 : 1;
  }
  CHECK(found == 6);
}
