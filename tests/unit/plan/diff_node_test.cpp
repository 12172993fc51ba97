// Plans for what a node sets once: timeouts, sync daemons, tunnel ends.
#include <doctest/doctest.h>

#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

const SyncDaemon seven{.device = "eth0",
                       .id = 7,
                       .max_length = 1472,
                       .group = *IpAddress::parse("224.0.0.81"),
                       .port = Port{8848},
                       .ttl = 1};
const TunnelDevice ipip{.kind = TunnelKind::ipip, .local = *IpAddress::parse("192.0.2.11")};
const TunnelDevice gre6{.kind = TunnelKind::ip6gre,
                        .local = *IpAddress::parse("2001:db8::11"),
                        .remote = {},
                        .checksum = true};

std::string plan_text(const NodeState& want, const NodeState& have,
                      const plan::Before& before = {}) {
  return plan::render(plan::diff(want, have, before));
}

std::string commands_text(const NodeState& want, const NodeState& have) {
  std::string out;
  for (const std::string& line : plan::commands(plan::diff(want, have)))
    if (!line.starts_with('#')) out += line + "\n";
  return out;
}

}  // namespace

TEST_CASE("plan: timeouts that differ are set together, those left out stay") {
  NodeState want, have;
  have.ipvs_node.timeouts = {.tcp = 900, .tcp_fin = 120, .udp = 300};
  CHECK(plan_text(want, have) == "");
  want.ipvs_node.timeouts = {.tcp = 3600, .tcp_fin = 0, .udp = 300};
  CHECK(plan_text(want, have) == "~ ipvs timeouts  tcp 900s -> tcp 3600s\n");
  want.ipvs_node.timeouts.udp = 10;
  CHECK(plan_text(want, have) == "~ ipvs timeouts  tcp 900s udp 300s -> tcp 3600s udp 10s\n");
  CHECK(commands_text(want, have) == "ipvsadm --set 3600 0 10\n");
}

TEST_CASE("plan: a timeout that the file no longer names goes back, the others do not") {
  NodeState want, have;
  have.ipvs_node.timeouts = {.tcp = 3600, .tcp_fin = 30, .udp = 10};
  want.ipvs_node.timeouts = {.tcp = 3600};
  const plan::Before before{
      .sysctls = {}, .limits = {}, .timeouts = {.tcp = 900, .tcp_fin = 0, .udp = 300}};
  CHECK(plan_text(want, have, before) ==
        "~ ipvs timeouts  udp 10s -> udp 300s  (not in the file)\n");
}

TEST_CASE("plan: a sync daemon starts, stops to come again changed, and stops") {
  NodeState none, one, other;
  one.ipvs_node.daemons = {{SyncRole::backup, seven}};
  other.ipvs_node.daemons = {{SyncRole::backup, seven}};
  other.ipvs_node.daemons[SyncRole::backup].id = 8;
  CHECK(plan_text(one, none) ==
        "+ ipvs sync daemon backup  dev eth0 id 7 group 224.0.0.81 port 8848 ttl 1 maxlen 1472\n");
  CHECK(plan_text(one, one) == "");
  CHECK(plan_text(other, one) ==
        "- ipvs sync daemon backup  (to come again, changed)\n"
        "+ ipvs sync daemon backup  dev eth0 id 8 group 224.0.0.81 port 8848 ttl 1 maxlen 1472\n");
  CHECK(plan_text(none, one) == "- ipvs sync daemon backup  (not in the file)\n");
  CHECK(commands_text(other, one) ==
        "ipvsadm --stop-daemon backup\n"
        "ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 8 --sync-maxlen 1472 "
        "--mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1\n");
}

TEST_CASE("plan: sync_ports counts only when no daemon runs, so they stop before and start after") {
  NodeState want, have;
  want.ipvs_node.daemons =
      have.ipvs_node.daemons = {{SyncRole::master, seven}, {SyncRole::backup, seven}};
  have.sysctls = {{"net/ipv4/vs/sync_ports", "1"}};
  want.sysctls = {{"net/ipv4/vs/sync_ports", "4"}};
  const auto operations = plan::diff(want, have);
  REQUIRE(operations.size() == 5);
  CHECK(std::holds_alternative<StopSync>(operations[0].action));
  CHECK(std::holds_alternative<StopSync>(operations[1].action));
  CHECK(std::holds_alternative<SetSysctl>(operations[2].action));
  CHECK(std::holds_alternative<StartSync>(operations[3].action));
  CHECK(std::holds_alternative<StartSync>(operations[4].action));

  // One that stops for good would hold the old number, too.
  want.ipvs_node.daemons.erase(SyncRole::master);
  const auto fewer = plan::diff(want, have);
  REQUIRE(fewer.size() == 4);
  CHECK(std::holds_alternative<StopSync>(fewer[0].action));
  CHECK(std::holds_alternative<StopSync>(fewer[1].action));
}

TEST_CASE("plan: what the kernel changes within one setting is no difference") {
  NodeState want, have;
  want.sysctls = {{"net/ipv4/vs/drop_entry", "1"}, {"net/ipv4/vs/conn_reuse_mode", "1"}};
  have.sysctls = {{"net/ipv4/vs/drop_entry", "2"}, {"net/ipv4/vs/conn_reuse_mode", "2"}};
  CHECK(plan_text(want, have) == "~ sysctl net.ipv4.vs.conn_reuse_mode  2 -> 1\n");
}

TEST_CASE("plan: tunnel ends stand before the VIP comes and go after it") {
  NodeState want, have;
  want.tunnels.devices = {{"lbctl-ipip", ipip}, {"lbctl-ip6gre", gre6}};
  want.tunnels.ports = {{{Family::v6, Port{6080}}, {}}};
  want.addresses = {{{"lo", *IpAddress::parse("192.0.2.100"), 32}, {rtnl_protocol, false}}};
  CHECK(plan_text(want, have) ==
        "+ tunnel dev lbctl-ip6gre  ip6gre local 2001:db8::11 remote any checksum up rp_filter 0\n"
        "+ tunnel dev lbctl-ipip  ipip local 192.0.2.11 remote any up rp_filter 0\n"
        "+ tunnel udp port 6080 IPv6  gue\n"
        "+ address 192.0.2.100/32 dev lo\n");
  CHECK(plan_text(have, want) ==
        "- address 192.0.2.100/32 dev lo  (not in the file)\n"
        "- tunnel dev lbctl-ip6gre  (not in the file)\n"
        "- tunnel dev lbctl-ipip  (not in the file)\n"
        "- tunnel udp port 6080 IPv6  (not in the file)\n");
  want.addresses.clear();
  CHECK(commands_text(want, have) ==
        "ip link add name lbctl-ip6gre type ip6gre local 2001:db8::11 remote any icsum\n"
        "ip link set lbctl-ip6gre up\n"
        "ip link add name lbctl-ipip type ipip local 192.0.2.11 remote any\n"
        "sysctl -w net.ipv4.conf.lbctl-ipip.rp_filter=0\n"
        "ip link set lbctl-ipip up\n"
        "ip fou add port 6080 gue -6\n");
}

TEST_CASE("plan: a tunnel device with other ends is made anew, one that is down is put up") {
  NodeState want, have;
  want.tunnels.devices = have.tunnels.devices = {{"lbctl-ipip", ipip}};
  have.tunnels.devices["lbctl-ipip"].up = false;
  CHECK(plan_text(want, have) ==
        "~ tunnel dev lbctl-ipip  ipip local 192.0.2.11 remote any down rp_filter 0 -> "
        "ipip local 192.0.2.11 remote any up rp_filter 0\n");
  want.tunnels.devices["lbctl-ipip"].local = *IpAddress::parse("192.0.2.31");
  CHECK(plan_text(want, have) ==
        "- tunnel dev lbctl-ipip  (to come again, changed)\n"
        "+ tunnel dev lbctl-ipip  ipip local 192.0.2.31 remote any up rp_filter 0\n");
}
