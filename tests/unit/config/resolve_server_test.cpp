#include "files.hpp"
#include "lbctl/config/resolve.hpp"
#include "state_check.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;
using test::ip;

namespace {

constexpr AddressSettings silent{rtnl_protocol, false};
constexpr MacAddress mac_of_rs2{{2, 0, 0, 0, 0, 0x12}};

Endpoint signalled() {
  Endpoint out;
  out.signal = true;
  return out;
}

Desired server(const std::string& text, const NodeFacts& facts = {},
               const std::string& node = "rs1") {
  const auto desired = resolve(test::config_of(text), node, facts);
  REQUIRE(desired);
  CHECK(desired->role == Role::real_server);
  CHECK(desired->node == node);
  return *desired;
}

NodeFacts knowing(const char* neighbour) {
  NodeFacts out;
  out.xdp_program = "digest";
  out.neighbours = {{ip(neighbour), mac_of_rs2}};
  return out;
}

const std::string dual_stack = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [443, 8443]
protocols = ["mptcp", "quic"]
servers = { rs1 = 0, rs2 = 1 }
quic = { cid = { scheme = "quic-lb", config = 3, id_length = 4, nonce_length = 5 }, initial = "local", unknown = "drop" }
[mptcp]
subflows = 4
)");

}  // namespace

TEST_CASE("resolve server: plain TCP over IPv4 is the VIP on lo and silence in ARP") {
  const Desired got = server(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
)"));
  NodeState want;
  want.sysctls = {{"net/ipv4/conf/all/arp_announce", "2"}, {"net/ipv4/conf/all/arp_ignore", "1"}};
  want.addresses = {{{"lo", ip("192.0.2.100"), 32}, silent}};
  test::check_state(got.state, want);
  CHECK(got.warnings.empty());
  CHECK(got.neighbours_wanted.empty());
  CHECK(got.interface == "eth1");
}

TEST_CASE("resolve server: over IPv6 alone no ARP sysctl is touched") {
  const Desired got = server(test::with_nodes(R"(
[services.web]
vip = ["2001:db8::100"]
ports = [80]
protocols = ["udp"]
)"));
  NodeState want;
  want.addresses = {{{"lo", ip("2001:db8::100"), 128}, silent}};
  test::check_state(got.state, want);
}

TEST_CASE("resolve server: mptcp and quic in both families, also with weight 0") {
  const Desired got = server(dual_stack, knowing("192.0.2.12"));
  NodeState want;
  want.sysctls = {{"net/ipv4/conf/all/arp_announce", "2"},
                  {"net/ipv4/conf/all/arp_ignore", "1"},
                  {"net/mptcp/allow_join_initial_addr_port", "0"},
                  {"net/mptcp/enabled", "1"}};
  want.addresses = {{{"lo", ip("192.0.2.100"), 32}, silent},
                    {{"lo", ip("192.0.2.111"), 32}, silent},
                    {{"lo", ip("2001:db8::100"), 128}, silent},
                    {{"lo", ip("2001:db8::111"), 128}, silent}};
  want.mptcp.endpoints = {{{ip("192.0.2.111"), Port{}}, signalled()},
                          {{ip("2001:db8::111"), Port{}}, signalled()}};
  want.mptcp.limits = MptcpLimits{4, 0};
  want.nft.forward = SignalForward{
      {"eth1"},
      "",
      {{{ip("192.0.2.111")}, {std::nullopt, true}}, {{ip("2001:db8::111")}, {std::nullopt, true}}},
      {},
      {}};
  want.xdp.attachments = {{"eth1", {XdpMode::automatic, "digest"}}};
  const SteeredService cid{{{3, 4, 5}}, true, true};
  want.xdp.services = {{{ip("192.0.2.100"), Port{443}}, cid},
                       {{ip("192.0.2.100"), Port{8443}}, cid},
                       {{ip("2001:db8::100"), Port{443}}, cid},
                       {{ip("2001:db8::100"), Port{8443}}, cid}};
  want.xdp.servers = {{ServerId{1}, {true, {}}}, {ServerId{2}, {false, mac_of_rs2}}};
  test::check_state(got.state, want);
  CHECK(got.warnings.empty());
  CHECK(got.neighbours_wanted == std::vector{ip("192.0.2.12"), ip("2001:db8::12")});
}

TEST_CASE("resolve server: any of a neighbour's addresses tells its Ethernet address") {
  const Desired got = server(dual_stack, knowing("2001:db8::12"));
  CHECK(got.state.xdp.servers.at(ServerId{2}).mac == mac_of_rs2);
  CHECK(got.warnings.empty());
}

TEST_CASE("resolve server: an unknown neighbour is zero, wanted, and warned about by name") {
  const Desired got = server(dual_stack);
  CHECK(got.state.xdp.servers.at(ServerId{2}) == SteerTarget{false, {}});
  CHECK(got.warnings == std::vector<std::string>{
                            "the Ethernet address of server rs2 is not known on eth1: QUIC packets "
                            "that belong to it are not steered until it is"});
  CHECK(got.neighbours_wanted == std::vector{ip("192.0.2.12"), ip("2001:db8::12")});
}

TEST_CASE("resolve server: it steers for the services that it serves, and no others") {
  const std::string text = test::with_nodes(R"(
[servers.rs3]
address = ["192.0.2.13"]
interface = "eth0"
id = 3
[services.a]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["quic"]
servers = ["rs1", "rs2"]
quic = { cid = { scheme = "quic-lb" } }
[services.b]
vip = ["192.0.2.101"]
ports = [443]
protocols = ["quic"]
servers = ["rs3", "rs2"]
quic = { cid = { scheme = "quic-lb" } }
)");
  const XdpState rs1 = server(text).state.xdp;
  CHECK(rs1.services.size() == 1);
  CHECK(rs1.servers.size() == 2);
  CHECK_FALSE(rs1.servers.contains(ServerId{3}));
  const Desired rs2 = server(text, {}, "rs2");
  CHECK(rs2.state.xdp.services.size() == 2);
  CHECK(rs2.state.xdp.servers.size() == 3);
  CHECK(rs2.state.xdp.servers.at(ServerId{2}).local);
  CHECK(rs2.warnings.size() == 2);
}

TEST_CASE("resolve server: signal addresses and limits only with an mptcp service") {
  const Desired got = server(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["mptcp"]
servers = ["rs2"]
[services.dns]
vip = ["2001:db8::100"]
ports = [53]
protocols = ["tcp", "udp"]
servers = ["rs1"]
[mptcp]
subflows = 4
)"));
  NodeState want;
  want.addresses = {{{"lo", ip("2001:db8::100"), 128}, silent}};
  test::check_state(got.state, want);
}

TEST_CASE("resolve server: without a service it holds nothing and says so") {
  const Desired got = server(test::nodes);
  test::check_state(got.state, {});
  CHECK(got.warnings == std::vector<std::string>{"no service uses server rs1: it holds nothing"});
}

TEST_CASE("resolve server: keys go where their files are named, and nowhere else") {
  const std::string text = test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["quic"]
quic.cid = [ { scheme = "quic-lb", key_file = "/a" },
             { scheme = "quic-lb", config = 1, key_file = "/b" }, { scheme = "quic-lb", config = 2 } ]
[services.other]
vip = ["192.0.2.101"]
ports = [443]
protocols = ["quic"]
servers = ["rs2"]
quic.cid = { scheme = "quic-lb", key_file = "/c" }
)");
  const Config config = test::config_of(text);
  CHECK(key_files(config, "rs1") == std::set<std::string>{"/a", "/b"});
  CHECK(key_files(config, "rs2") == std::set<std::string>{"/a", "/b", "/c"});
  CHECK(key_files(config, "dir1").empty());
  NodeFacts facts = knowing("192.0.2.12");
  const CidKey a(CidKey::Octets{1}), b(CidKey::Octets{2});
  facts.cid_keys = {{"/a", a}, {"/b", b}};
  const auto cids = server(text, facts).state.xdp.services.at({ip("192.0.2.100"), Port{443}}).cids;
  REQUIRE(cids.size() == 3);
  CHECK(cids[0].key == a);
  CHECK(cids[1].key == b);
  CHECK(cids[1].encrypted);
  CHECK_FALSE(cids[2].key);
  CHECK_FALSE(cids[2].encrypted);
}

TEST_CASE("resolve server: dpvs knows servers by their addresses, the others by their ids") {
  const Desired got = server(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [443]
protocols = ["quic"]
quic.cid = [ { scheme = "dpvs" }, { scheme = "msquic" } ]
)"),
                             knowing("192.0.2.12"));
  const SteerTarget here{true, {}}, rs2{false, mac_of_rs2};
  CHECK(got.state.xdp.servers ==
        std::map<ServerId, SteerTarget>{{ServerId{1}, here},
                                        {ServerId{2}, rs2},
                                        {{0x00020b, 0, IdSpace::ipv4}, here},
                                        {{0x00020c, 0, IdSpace::ipv4}, rs2},
                                        {{0x11, 0, IdSpace::ipv6}, here},
                                        {{0x12, 0, IdSpace::ipv6}, rs2}});
}

TEST_CASE("resolve server: with steer = tunnel at either end, both reach each other by a tunnel") {
  for (const std::string far : {"rs1", "rs2"}) {
    std::string text = dual_stack;
    const std::string at = "[servers." + far + "]\n";
    text.insert(text.find(at) + at.size(), "steer = \"tunnel\"\n");
    CHECK(config::tunnel_ends(test::config_of(text), "rs1") == std::set{ip("192.0.2.12")});
    CHECK(config::tunnel_ends(test::config_of(text), "rs2") == std::set{ip("192.0.2.11")});

    NodeFacts facts;
    facts.links["eth1"].mtu = 9000;
    const model::SteerTunnel tunnel{ip("192.0.2.11"), ip("192.0.2.12"), 9000};
    Desired got = server(text, facts);
    CHECK(got.state.xdp.servers.at(ServerId{2}) == SteerTarget{false, {}, tunnel});
    CHECK(got.neighbours_wanted.empty());
    CHECK(got.warnings ==
          std::vector<std::string>{"192.0.2.12 is not reached by eth1: QUIC packets that belong to "
                                   "server rs2 are not steered until it is"});
    facts.next_hops[ip("192.0.2.12")] = {"eth1", ip("192.0.2.254")};
    got = server(text, facts);
    CHECK(got.neighbours_wanted == std::vector{ip("192.0.2.254")});
    CHECK(got.warnings.size() == 1);
    facts.neighbours[ip("192.0.2.254")] = mac_of_rs2;
    got = server(text, facts);
    CHECK(got.state.xdp.servers.at(ServerId{2}) == SteerTarget{false, mac_of_rs2, tunnel});
    CHECK(got.warnings.empty());
    facts.next_hops[ip("192.0.2.12")].device = "eth0";
    CHECK(server(text, facts).warnings.size() == 1);
  }
  CHECK(config::tunnel_ends(test::config_of(dual_stack), "rs1").empty());
}

TEST_CASE("resolve server: the program is attached as the server wants it") {
  for (const auto& [word, mode] : {std::pair{"automatic", XdpMode::automatic},
                                   {"native", XdpMode::native},
                                   {"generic", XdpMode::generic}}) {
    std::string text = dual_stack;
    const std::string at = "[servers.rs1]\n";
    text.insert(text.find(at) + at.size(), "xdp_mode = \"" + std::string(word) + "\"\n");
    CHECK(server(text).state.xdp.attachments.at("eth1").mode == mode);
  }
}
