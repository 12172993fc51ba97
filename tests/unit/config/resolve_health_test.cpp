// What a director does with servers that failed.
#include "files.hpp"
#include "lbctl/config/resolve.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;

namespace {

constexpr const char* web = R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
servers = { rs1 = 10, rs2 = 20 }
)";

/// Not test::ip(), which checks: these are made before any test runs.
IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

const ServiceKey key{ip("192.0.2.100"), L4::tcp, Port{443}};
const DestinationKey rs1{ip("192.0.2.11"), Port{443}};
const DestinationKey rs2{ip("192.0.2.12"), Port{443}};

Desired director(const Config& config, const Health& health,
                 std::span<const DrainIntent> drains = {}) {
  const auto desired = resolve(config, "dir1", {}, drains, health);
  REQUIRE(desired);
  return *desired;
}

/// "10.0.0.1:80=5 ", in the order of the addresses.
std::string weights(const Desired& desired, const ServiceKey& service = key) {
  std::string out;
  for (const auto& [to, destination] : desired.state.ipvs.at(service).destinations)
    out += to.text() + "=" + std::to_string(number(destination.weight)) + " ";
  return out;
}

}  // namespace

TEST_CASE("resolve health: nothing known is as the file has it") {
  const Config config = test::config_of(test::with_nodes(web));
  const Desired got = director(config, {{"other", {}}, {"web", {}}});
  CHECK(got.state == director(config, {}).state);
  CHECK(weights(got) == "192.0.2.11:443=10 192.0.2.12:443=20 ");
}

TEST_CASE("resolve health: a server that failed goes, and its joins are not forwarded") {
  Config config = test::config_of(test::with_nodes(web));
  const Health health{{"web", {.servers = {{"rs2", {.up = false}}}}}};
  const Desired got = director(config, health);
  CHECK(weights(got) == "192.0.2.11:443=10 ");
  CHECK(got.drains == Drains{{{key, rs2}, failed_at_once()}});
  CHECK(!got.state.nft.forward->addresses.contains({ip("192.0.2.112")}));
  CHECK(got.state.nft.forward->addresses.contains({ip("192.0.2.111")}));
  CHECK(got.state.addresses == director(config, {}).state.addresses);

  config.services.at("web").health.remove = false;
  CHECK(director(config, health).drains == Drains{{{key, rs2}, failed_with_time()}});
}

TEST_CASE(
    "resolve health: of its weight a server gets what its agent wants; of none it is drained") {
  const Config config = test::config_of(test::with_nodes(web));
  const auto with = [&](std::uint8_t percent) {
    return director(config, {{"web", {.servers = {{"rs2", {.percent = percent}}}}}});
  };
  CHECK(weights(with(50)) == "192.0.2.11:443=10 192.0.2.12:443=10 ");
  CHECK(weights(with(1)) == "192.0.2.11:443=10 192.0.2.12:443=1 ");
  const Desired none = with(0);
  CHECK(weights(none) == "192.0.2.11:443=10 ");
  CHECK(none.drains == Drains{{{key, rs2}, failed_with_time()}});
  CHECK(none.state.nft.forward->addresses.contains({ip("192.0.2.112")}));  // it keeps its joins
}

TEST_CASE("resolve health: with every server down the table stands, empty") {
  const Config config = test::config_of(test::with_nodes(web));
  const Desired got =
      director(config, {{"web", {.servers = {{"rs1", {.up = false}}, {"rs2", {.up = false}}}}}});
  REQUIRE(got.state.nft.forward);
  CHECK(got.state.nft.forward->addresses.empty());
  CHECK(weights(got).empty());
}

TEST_CASE("resolve health: with joins by IPVS the service of the address loses its destination") {
  const Config config =
      test::config_of(test::with_nodes(std::string(web) + "mptcp = { via = \"ipvs\" }\n"));
  const Desired got = director(config, {{"web", {.servers = {{"rs2", {.up = false}}}}}});
  const ServiceKey joins{ip("192.0.2.112"), L4::tcp, Port{443}};
  CHECK(weights(got, joins).empty());
  CHECK(got.drains.at({key, rs2}) == failed_at_once());
  CHECK(got.drains.at({joins, rs2}) == failed_at_once());
}

TEST_CASE("resolve health: a server that comes back slowly has a part of its weight, never more") {
  const Config config = test::config_of(test::with_nodes(web));
  const auto at_most = [&](std::uint16_t most) {
    return weights(director(
        config,
        {{"web",
          {.servers = {{"rs1", {.most = Weight{most}}}, {"rs2", {.most = Weight{most}}}}}}}));
  };
  CHECK(at_most(15) == "192.0.2.11:443=10 192.0.2.12:443=15 ");
  CHECK(at_most(99) == "192.0.2.11:443=10 192.0.2.12:443=20 ");
}

TEST_CASE("resolve health: checks through the VIP have a service by mark for each server") {
  const Config config =
      test::config_of(test::with_nodes(std::string(web) + "check = { via = \"vip\" }\n"));
  const Desired got = director(config, {{"web", {.servers = {{"rs2", {.up = false}}}}}});
  CHECK(weights(got, fwmark_service(0x6c620001, Family::v4)) == "192.0.2.11:0=1 ");
  // Also of one that failed: else it would never be seen to come back.
  CHECK(weights(got, fwmark_service(0x6c620002, Family::v4)) == "192.0.2.12:0=1 ");
  CHECK(!got.state.ipvs.contains(fwmark_service(0x6c620001, Family::v6)));
  CHECK(got.state.sysctls.at("net/ipv4/conf/eth0/accept_local") == "1");
}

TEST_CASE("resolve health: answers to joins come from addresses that the director holds") {
  const auto of = [](const std::string& mptcp, const char* check) {
    return director(
        test::config_of(test::with_nodes(web + ("mptcp = { via = \"" + mptcp + "\" }\n") + check)),
        {});
  };
  const char* const accept_local = "net/ipv4/conf/eth0/accept_local";
  const char* const joins = "check = { type = \"mptcp\" }\n";
  CHECK(of("forward", joins).state.sysctls.at(accept_local) == "1");
  CHECK(!of("forward", "check = {}\n").state.sysctls.contains(accept_local));
  CHECK(!of("direct", joins).state.sysctls.contains(accept_local));
  // IPVS would take them itself, and bring them nowhere once the server failed.
  const Desired ipvs = of("ipvs", joins);
  CHECK(weights(ipvs, fwmark_service(0x6c620002, Family::v4)) == "192.0.2.12:0=1 ");
  CHECK(!of("ipvs", "check = {}\n").state.ipvs.contains(fwmark_service(0x6c620002, Family::v4)));
  CHECK(!of("forward", joins).state.ipvs.contains(fwmark_service(0x6c620002, Family::v4)));
}

TEST_CASE("resolve health: an operator's drain goes before health") {
  const Config config = test::config_of(test::with_nodes(web));
  const std::vector<DrainIntent> drains{{.server = "rs2", .since = UnixTime{1000}}};
  const Desired got = director(config, {{"web", {.servers = {{"rs2", {.up = false}}}}}}, drains);
  CHECK(got.drains == Drains{{{key, rs2}, {UnixTime{1300}, 0, true}}});
}

TEST_CASE("resolve health: the sorry server takes new connections, the others keep theirs") {
  Config config = test::config_of(test::with_nodes(R"(
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
servers = ["rs1"]
)"));
  config.services.at("web").sorry_server = "rs2";
  CHECK(weights(director(config, {})) == "192.0.2.11:443=1 ");
  const Desired got = director(config, {{"web", {.servers = {}, .sorry = true}}});
  CHECK(weights(got) == "192.0.2.12:443=1 ");
  CHECK(got.drains == Drains{{{key, rs1}, failed_with_time()}});

  const auto server = resolve(config, "rs2", {});
  REQUIRE(server);
  CHECK(server->state.addresses.contains({"lo", ip("192.0.2.100"), 32}));
  CHECK(server->state.mptcp.endpoints.empty());
}
