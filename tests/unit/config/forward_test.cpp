// How a service's packets travel, from the file to what nodes hold.
#include "files.hpp"
#include "lbctl/config/resolve.hpp"
#include "state_check.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;
using test::ip;

namespace {

NodeState state_of(const std::string& services, const std::string& node = "dir1",
                   std::span<const DrainIntent> drains = {}) {
  const auto desired = resolve(test::config_of(test::with_nodes(services)), node, {}, drains);
  REQUIRE(desired);
  return desired->state;
}

ServiceKey web(std::uint16_t port, const char* vip = "192.0.2.100", L4 protocol = L4::tcp) {
  return {ip(vip), protocol, Port{port}};
}

const std::string masquerade = R"(
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [80, 443]
protocols = ["tcp"]
forward = "masquerade"
server_port = 8080
uthreshold = 100
lthreshold = 90
servers = { rs1 = 10, rs2 = { weight = 5, port = 8081, uthreshold = 0, lthreshold = 0 } }
)";

}  // namespace

TEST_CASE("forward: under masquerade every port goes to the server's, with its limits") {
  const NodeState got = state_of(masquerade);
  for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{443}}) {
    CHECK(got.ipvs.at(web(port)).destinations ==
          std::map<DestinationKey, Destination>{
              {{ip("192.0.2.11"), Port{8080}}, {Weight{10}, Forward::masquerade, 100, 90}},
              {{ip("192.0.2.12"), Port{8081}}, {Weight{5}, Forward::masquerade, 0, 0}}});
    CHECK(got.ipvs.at(web(port, "2001:db8::100")).destinations.size() == 2);
  }
  CHECK(got.sysctls == SysctlState{{"net/ipv4/conf/all/send_redirects", "0"},
                                   {"net/ipv4/conf/eth0/forwarding", "1"},
                                   {"net/ipv4/conf/eth0/send_redirects", "0"},
                                   {"net/ipv4/vs/conn_reuse_mode", "1"},
                                   {"net/ipv4/vs/expire_nodest_conn", "1"},
                                   {"net/ipv6/conf/all/forwarding", "1"}});
}

TEST_CASE("forward: under masquerade a server holds no VIP, and follows no redirect") {
  NodeState want;
  want.sysctls = {{"net/ipv6/conf/eth1/accept_redirects", "0"}};
  test::check_state(state_of(masquerade, "rs1"), want);
}

TEST_CASE("forward: a drain names the mapped port") {
  const DrainIntent intent{.server = "rs2", .service = {}, .since = UnixTime{1000}, .seconds = {}};
  const auto desired =
      resolve(test::config_of(test::with_nodes(masquerade)), "dir1", {}, std::span(&intent, 1));
  REQUIRE(desired);
  CHECK(desired->drains.contains({web(443), {ip("192.0.2.12"), Port{8081}}}));
  CHECK(desired->drains.size() == 4);
}

TEST_CASE("forward: a tunnel's options reach every destination; servers hold the VIP") {
  const std::string text = R"(
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
forward = "tunnel"
servers = ["rs1"]
)";
  const auto tunnel = [&](const std::string& table) {
    return state_of(text + table).ipvs.at(web(80)).destinations.begin()->second;
  };
  CHECK(tunnel("") == Destination{Weight{1}, Forward::tunnel, 0, 0, {}});
  CHECK(tunnel("tunnel = { type = \"gue\" }").tunnel ==
        Tunnel{TunnelType::gue, Port{6080}, TunnelChecksum::none});
  CHECK(tunnel("tunnel = { type = \"gue\", port = 9, checksum = \"remote\" }").tunnel ==
        Tunnel{TunnelType::gue, Port{9}, TunnelChecksum::remote});
  CHECK(tunnel("tunnel = { type = \"gre\", checksum = \"full\" }").tunnel ==
        Tunnel{TunnelType::gre, Port{}, TunnelChecksum::full});
  CHECK(state_of(text).sysctls == SysctlState{{"net/ipv4/vs/conn_reuse_mode", "1"},
                                              {"net/ipv4/vs/conntrack", "0"},
                                              {"net/ipv4/vs/expire_nodest_conn", "1"}});
  const NodeState server = state_of(text, "rs1");
  CHECK(server.addresses.contains({"lo", ip("192.0.2.100"), 32}));
  CHECK(server.sysctls.contains("net/ipv4/conf/all/arp_ignore"));
}

TEST_CASE("forward: one_packet is of UDP, a mask of its family and of persistence") {
  const NodeState got = state_of(R"(
[services.dns]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [53]
protocols = ["tcp", "udp"]
one_packet = true
persistence_timeout = "60s"
persistence_netmask = { ipv4 = 24, ipv6 = 56 }
)");
  CHECK(got.ipvs.at(web(53, "192.0.2.100", L4::udp)).flags.one_packet);
  CHECK_FALSE(got.ipvs.at(web(53)).flags.one_packet);
  CHECK(got.ipvs.at(web(53)).persistence_prefix == 24);
  CHECK(got.ipvs.at(web(53, "2001:db8::100")).persistence_prefix == 56);
}

TEST_CASE("forward: a port that changes nothing is right under dr") {
  CHECK(state_of("[services.web]\nvip = [\"192.0.2.100\"]\nports = [80]\nprotocols = [\"tcp\"]\n"
                 "server_port = 80\n")
            .ipvs.at(web(80))
            .destinations.contains({ip("192.0.2.11"), Port{80}}));
}
