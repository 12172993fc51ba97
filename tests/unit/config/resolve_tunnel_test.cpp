// The real server's end of a tunnel.
#include "files.hpp"
#include "lbctl/config/resolve.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;

namespace {

NodeState server_of(const std::string& tunnel,
                    const std::string& vips = "[\"192.0.2.100\", \"2001:db8::100\"]") {
  const std::string text = "[services.web]\nvip = " + vips +
                           "\nports = [80]\nprotocols = [\"tcp\"]\nforward = \"tunnel\"\n" + tunnel;
  const auto desired = resolve(test::config_of(test::with_nodes(text)), "rs1", {});
  REQUIRE(desired);
  return desired->state;
}

TunnelDevice end(TunnelKind kind, const char* local, bool checksum = false) {
  return {.kind = kind, .local = test::ip(local), .remote = {}, .checksum = checksum};
}

}  // namespace

TEST_CASE("tunnel ends: ipip in both families; reverse path filters would drop what comes by it") {
  const NodeState got = server_of("");
  CHECK(got.tunnels.devices == std::map<std::string, TunnelDevice>{
                                   {"lbctl-ipip", end(TunnelKind::ipip, "192.0.2.11")},
                                   {"lbctl-ip6tnl", end(TunnelKind::ip6tnl, "2001:db8::11")}});
  CHECK(got.tunnels.ports.empty());
  CHECK(got.sysctls.at("net/ipv4/conf/all/rp_filter") == "0");
}

TEST_CASE("tunnel ends: gue is a port and what comes out of it; only the VIPs' families") {
  const NodeState got = server_of("tunnel = { type = \"gue\" }\n", "[\"2001:db8::100\"]");
  CHECK(got.tunnels.devices == std::map<std::string, TunnelDevice>{
                                   {"lbctl-ip6tnl", end(TunnelKind::ip6tnl, "2001:db8::11")}});
  CHECK(got.tunnels.ports == std::map<FouKey, FouPort>{{{Family::v6, Port{6080}}, {}}});
  CHECK_FALSE(got.sysctls.contains("net/ipv4/conf/all/rp_filter"));
}

TEST_CASE("tunnel ends: gre takes packets with a checksum, or those without") {
  for (const bool full : {false, true}) {
    const NodeState got = server_of(full ? "tunnel = { type = \"gre\", checksum = \"full\" }"
                                         : "tunnel = { type = \"gre\" }");
    CHECK(got.tunnels.devices ==
          std::map<std::string, TunnelDevice>{
              {"lbctl-gre", end(TunnelKind::gre, "192.0.2.11", full)},
              {"lbctl-ip6gre", end(TunnelKind::ip6gre, "2001:db8::11", full)}});
    CHECK(got.tunnels.ports.empty());
  }
}
