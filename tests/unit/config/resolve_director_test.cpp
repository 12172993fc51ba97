#include "files.hpp"
#include "lbctl/config/resolve.hpp"
#include "state_check.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;
using test::ip;

namespace {

Desired director(const std::string& text, const std::string& node = "dir1") {
  const auto desired = resolve(test::config_of(text), node, {});
  REQUIRE(desired);
  CHECK(desired->role == Role::director);
  CHECK(desired->warnings.empty());
  CHECK(desired->neighbours_wanted.empty());
  return *desired;
}

Destination weighing(std::uint16_t weight) {
  return {Weight{weight}, Forward::route, 0, 0};
}

/// What lbctl sets by itself on a director with services of direct routing.
const SysctlState own_sysctls = {{"net/ipv4/vs/conn_reuse_mode", "1"},
                                 {"net/ipv4/vs/conntrack", "0"},
                                 {"net/ipv4/vs/expire_nodest_conn", "1"}};

constexpr AddressSettings announced{rtnl_protocol, true};
constexpr AddressSettings silent{rtnl_protocol, false};

}  // namespace

TEST_CASE("resolve director: plain TCP over IPv4 is one virtual service and the VIP, no more") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
servers = { rs1 = 3, rs2 = 0 }
)"));
  NodeState want;
  want.sysctls = own_sysctls;
  VirtualService web;
  web.scheduler = "wlc";
  web.persistence_prefix = 32;
  web.destinations = {{{ip("192.0.2.11"), Port{80}}, weighing(3)},
                      {{ip("192.0.2.12"), Port{80}}, weighing(0)}};
  want.ipvs = {{{ip("192.0.2.100"), L4::tcp, Port{80}}, web}};
  want.addresses = {{{"eth0", ip("192.0.2.100"), 32}, announced}};
  test::check_state(got.state, want);
  CHECK(got.node == "dir1");
  CHECK(got.interface == "eth0");
}

TEST_CASE("resolve director: mptcp and quic in both families") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [443]
protocols = ["mptcp", "quic"]
scheduler = "mh"
scheduler_flags = ["mh-fallback", "mh-port"]
persistence_timeout = "300s"
servers = { rs1 = 10, rs2 = 20 }
quic = { cid = { scheme = "quic-lb" } }
)"));
  NodeState want;
  want.sysctls = own_sysctls;
  want.sysctls["net/ipv4/vs/expire_quiescent_template"] = "1";
  VirtualService v4;
  v4.scheduler = "mh";
  v4.flags = {true, false, true, true, false};
  v4.persistence_timeout = 300;
  v4.persistence_prefix = 32;
  VirtualService v6 = v4;
  v6.persistence_prefix = 128;
  v4.destinations = {{{ip("192.0.2.11"), Port{443}}, weighing(10)},
                     {{ip("192.0.2.12"), Port{443}}, weighing(20)}};
  v6.destinations = {{{ip("2001:db8::11"), Port{443}}, weighing(10)},
                     {{ip("2001:db8::12"), Port{443}}, weighing(20)}};
  want.ipvs = {{{ip("192.0.2.100"), L4::tcp, Port{443}}, v4},
               {{ip("192.0.2.100"), L4::udp, Port{443}}, v4},
               {{ip("2001:db8::100"), L4::tcp, Port{443}}, v6},
               {{ip("2001:db8::100"), L4::udp, Port{443}}, v6}};
  SignalForward forward;
  forward.client_devices = {"eth0"};
  forward.server_device = "eth0";
  forward.addresses = {{{ip("192.0.2.111")}, {ip("192.0.2.11"), true}},
                       {{ip("192.0.2.112")}, {ip("192.0.2.12"), true}},
                       {{ip("2001:db8::111")}, {ip("2001:db8::11"), true}},
                       {{ip("2001:db8::112")}, {ip("2001:db8::12"), true}}};
  want.nft.forward = forward;
  for (const char* address : {"192.0.2.100", "192.0.2.111", "192.0.2.112"}) {
    want.addresses[{"eth0", ip(address), 32}] = announced;
  }
  for (const char* address : {"2001:db8::100", "2001:db8::111", "2001:db8::112"}) {
    want.addresses[{"eth0", ip(address), 128}] = announced;
  }
  test::check_state(got.state, want);
}

TEST_CASE("resolve director: several ports, IPv6 only, other client interfaces") {
  const Desired got = director(R"(
[directors.dir1]
address = ["2001:db8::10"]
interface = "eth0"
client_interfaces = ["eth2", "eth1"]
[servers.rs1]
address = ["2001:db8::11"]
interface = "eth0"
id = 1
signal = ["2001:db8::111"]
[services.web]
vip = ["2001:db8::100"]
ports = [80, 443]
protocols = ["mptcp"]
mptcp = { join_only = false }
)");
  NodeState want;
  want.sysctls = own_sysctls;
  for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{443}}) {
    VirtualService web;
    web.persistence_prefix = 128;
    web.destinations = {{{ip("2001:db8::11"), Port{port}}, weighing(1)}};
    want.ipvs[{ip("2001:db8::100"), L4::tcp, Port{port}}] = web;
  }
  for (const char* device : {"eth1", "eth2"}) {
    want.addresses[{device, ip("2001:db8::100"), 128}] = announced;
    want.addresses[{device, ip("2001:db8::111"), 128}] = announced;
  }
  want.nft.forward = SignalForward{
      {"eth1", "eth2"}, "eth0", {{{ip("2001:db8::111")}, {ip("2001:db8::11"), false}}}};
  test::check_state(got.state, want);
}

TEST_CASE("resolve director: vip_on decides where VIPs and signal addresses stand") {
  const auto with = [](const std::string& vip_on) {
    return director(
        "[directors.d]\naddress = [\"192.0.2.20\"]\ninterface = \"eth0\"\n"
        "client_interfaces = [\"eth1\"]\nvip_on = \"" +
            vip_on + "\"\n" +
            test::with_nodes("[services.web]\nvip = [\"192.0.2.100\"]\nports = [80]\n"
                             "protocols = [\"mptcp\"]\nservers = [\"rs1\"]\n"),
        "d");
  };
  using Addresses = std::map<AddressKey, AddressSettings>;
  const Addresses on_eth1 = {{{"eth1", ip("192.0.2.100"), 32}, announced},
                             {{"eth1", ip("192.0.2.111"), 32}, announced},
                             {{"eth1", ip("2001:db8::111"), 128}, announced}};
  const Addresses on_lo = {{{"lo", ip("192.0.2.100"), 32}, silent},
                           {{"lo", ip("192.0.2.111"), 32}, silent},
                           {{"lo", ip("2001:db8::111"), 128}, silent}};
  test::check_addresses(with("interface").state.addresses, on_eth1);
  test::check_addresses(with("loopback").state.addresses, on_lo);
  test::check_addresses(with("none").state.addresses, {});
  // The forward and its guard are there all the same.
  for (const char* vip_on : {"interface", "loopback", "none"}) {
    CHECK(with(vip_on).state.nft.forward->addresses.size() == 2);
    CHECK(with(vip_on).state.nft.forward->client_devices == std::set<std::string>{"eth1"});
  }
}

TEST_CASE("resolve director: servers without mptcp services bring no signal addresses") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["mptcp"]
servers = ["rs1"]
[services.dns]
vip = ["192.0.2.100"]
ports = [53]
protocols = ["udp"]
servers = ["rs2"]
)"));
  REQUIRE(got.state.nft.forward);
  CHECK(got.state.nft.forward->addresses.size() == 2);
  CHECK_FALSE(got.state.nft.forward->addresses.contains({ip("192.0.2.112")}));
}

TEST_CASE("resolve director: without services it holds nothing") {
  test::check_state(director(test::nodes).state, {});
}

TEST_CASE("resolve: a node that is not in the file is not found") {
  const auto got = resolve(test::config_of(test::nodes), "rs9", {});
  REQUIRE_FALSE(got);
  CHECK(got.error().code() == Errc::not_found);
}

TEST_CASE("resolve director: with notrack what clients send is untracked, joins by IPVS too") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp", "udp"]
servers = ["rs1"]
notrack = true
[services.web.mptcp]
via = "ipvs"
[services.mail]
vip = ["192.0.2.101"]
ports = [25]
protocols = ["tcp"]
)"));
  REQUIRE(got.state.nft.marks);
  const PortRange https{Port{443}, Port{443}};
  CHECK(*got.state.nft.marks == Marks{{{ip("192.0.2.100"), L4::tcp, https}, {0, true}},
                                      {{ip("192.0.2.100"), L4::udp, https}, {0, true}},
                                      {{ip("192.0.2.111"), L4::tcp, https}, {0, true}},
                                      {{ip("2001:db8::111"), L4::tcp, https}, {0, true}}});
}

TEST_CASE(
    "resolve director: by mark there is one service for each family, and marks for its ports") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100", "192.0.2.101", "2001:db8::100"]
ports = [443, "8000-8100"]
protocols = ["tcp", "udp"]
fwmark = 7
servers = ["rs1"]
[services.whole]
vip = ["192.0.2.102"]
ports = "all"
protocols = ["udp"]
fwmark = 8
servers = ["rs2"]
)"));
  CHECK(got.state.ipvs.size() == 3);
  const auto& web4 = got.state.ipvs.at(fwmark_service(7, Family::v4));
  CHECK(web4.destinations ==
        std::map<DestinationKey, Destination>{{{ip("192.0.2.11"), Port{0}}, weighing(1)}});
  CHECK(got.state.ipvs.contains(fwmark_service(7, Family::v6)));
  CHECK(got.state.ipvs.contains(fwmark_service(8, Family::v4)));
  REQUIRE(got.state.nft.marks);
  CHECK(got.state.nft.marks->size() == 3 * 2 * 2 + 1);
  CHECK(got.state.nft.marks->at({ip("192.0.2.101"), L4::udp, {Port{8000}, Port{8100}}}) == 7);
  CHECK(got.state.nft.marks->at({ip("192.0.2.102"), L4::udp, all_ports}) == 8);
}

TEST_CASE(
    "resolve: with signal = \"port\" each server has a port of the VIP, and no address for it") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
mptcp = { signal = "port", port_base = 44300 }
[mptcp]
checksum = true
)");
  const Desired got = director(text);
  REQUIRE(got.state.nft.forward);
  CHECK(got.state.nft.forward->addresses ==
        std::map<EndpointKey, ForwardTarget>{
            {{ip("192.0.2.100"), Port{44301}}, {ip("192.0.2.11"), true}},
            {{ip("192.0.2.100"), Port{44302}}, {ip("192.0.2.12"), true}}});
  CHECK(got.state.addresses.size() == 1);
  const auto server = resolve(test::config_of(text), "rs2", {});
  REQUIRE(server);
  CHECK(server->state.mptcp.endpoints ==
        std::map<EndpointKey, Endpoint>{{{ip("192.0.2.100"), Port{44302}}, {.signal = true}}});
  CHECK(server->state.addresses.size() == 1);
  CHECK(server->state.sysctls.at("net/mptcp/checksum_enabled") == "1");
}

TEST_CASE("resolve: joins via IPVS have a virtual service for each signal address and port") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443, 8443]
protocols = ["mptcp"]
servers = ["rs1"]
[services.web.mptcp]
via = "ipvs"
)");
  const std::vector<DrainIntent> drains{{.server = "rs1"}};
  const auto got = resolve(test::config_of(text), "dir1", {}, drains);
  REQUIRE(got);
  VirtualService joins;
  joins.scheduler = "rr";
  joins.persistence_prefix = 32;
  for (const Port port : {Port{443}, Port{8443}}) {
    joins.destinations = {{{ip("192.0.2.11"), port}, {.weight = Weight{1}}}};
    // A drained server still takes joins.
    CHECK(got->state.ipvs.at({ip("192.0.2.111"), L4::tcp, port}) == joins);
  }
  CHECK(got->state.addresses.contains({"eth0", ip("192.0.2.111"), 32}));
  CHECK(got->state.sysctls.at("net/ipv4/vs/sloppy_tcp") == "1");
  REQUIRE(got->state.nft.forward);
  CHECK(got->state.nft.forward->addresses.at({ip("192.0.2.111")}) ==
        ForwardTarget{std::nullopt, true});
  const auto open = director(text + "join_only = false\n");
  CHECK_FALSE(open.state.nft.forward);
}

TEST_CASE("resolve: ports of the VIP via IPVS") {
  const Desired got = director(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
mptcp = { signal = "port", port_base = 44300, via = "ipvs" }
)"));
  CHECK(got.state.ipvs.size() == 3);
  const VirtualService& joins = got.state.ipvs.at({ip("192.0.2.100"), L4::tcp, Port{44302}});
  CHECK(joins.destinations.contains({ip("192.0.2.12"), Port{44302}}));
  CHECK(got.state.addresses.size() == 1);
}

TEST_CASE("resolve: what the network routes is on the server alone") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
mptcp = { via = "direct" }
)");
  const Desired got = director(text);
  CHECK_FALSE(got.state.nft.forward);
  CHECK(got.state.ipvs.size() == 1);
  CHECK(got.state.addresses.size() == 1);
  CHECK_FALSE(got.state.sysctls.contains("net/ipv4/vs/sloppy_tcp"));
  const auto server = resolve(test::config_of(text), "rs1", {});
  REQUIRE(server);
  CHECK(server->state.mptcp.endpoints.contains({ip("192.0.2.111")}));
}

TEST_CASE("resolve: the guard of a service, on directors and on servers") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [443, 8443]
protocols = ["mptcp"]
servers = ["rs1"]
[services.web.guard]
syn_rate = "200/second"
syn_burst = 400
mptcp_only = true
sources = { ipv4 = 24 }
[services.web.mptcp]
syn_rate = "10/minute"
[services.plain]
vip = ["192.0.2.101"]
ports = [80]
protocols = ["tcp"]
guard = { syn_rate = "7/hour" }
)");
  const auto at = [](const char* address, std::uint16_t port) {
    return EndpointKey{ip(address), Port{port}};
  };
  const Desired got = director(text);
  REQUIRE(got.state.nft.forward);
  const SignalForward& table = *got.state.nft.forward;
  CHECK(table.mptcp_only == std::set<EndpointKey>{at("192.0.2.100", 443), at("192.0.2.100", 8443),
                                                  at("2001:db8::100", 443),
                                                  at("2001:db8::100", 8443)});
  const Rate syn{200, RateUnit::second, 400}, join{10, RateUnit::minute, 10};
  CHECK(table.limits ==
        std::map<std::string, SourceLimit>{
            {"syn4_web", {syn, 24, {at("192.0.2.100", 443), at("192.0.2.100", 8443)}}},
            {"syn6_web", {syn, 64, {at("2001:db8::100", 443), at("2001:db8::100", 8443)}}},
            {"join4_web", {join, 24, {at("192.0.2.111", 443), at("192.0.2.111", 8443)}}},
            {"join6_web", {join, 64, {at("2001:db8::111", 443), at("2001:db8::111", 8443)}}},
            {"syn4_plain", {{7, RateUnit::hour, 7}, 32, {at("192.0.2.101", 80)}}}});
  const auto server = resolve(test::config_of(text), "rs1", {});
  REQUIRE(server);
  REQUIRE(server->state.nft.forward);
  // All of it once more; rs1 is the only server of web.
  CHECK(*server->state.nft.forward == SignalForward{{"eth1"},
                                                    "",
                                                    {{{ip("192.0.2.111")}, {std::nullopt, true}},
                                                     {{ip("2001:db8::111")}, {std::nullopt, true}}},
                                                    table.mptcp_only,
                                                    table.limits});
}

TEST_CASE("resolve: where the network brings joins, the servers limit them") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
mptcp = { via = "direct", join_only = false, syn_rate = "10/second", syn_burst = 20 }
)");
  CHECK_FALSE(director(text).state.nft.forward);
  const auto server = resolve(test::config_of(text), "rs2", {});
  REQUIRE(server);
  REQUIRE(server->state.nft.forward);
  CHECK(server->state.nft.forward->addresses.empty());
  CHECK(server->state.nft.forward->limits.at("join4_web") ==
        SourceLimit{{10, RateUnit::second, 20}, 32, {{ip("192.0.2.112"), Port{443}}}});
}
