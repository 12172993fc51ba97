#include "lbctl/engine/ledger.hpp"

#include <doctest/doctest.h>

using namespace lbctl;
using namespace lbctl::model;

TEST_CASE("ledger: what is written is what is read") {
  engine::Ledger ledger;
  ledger.services.insert({*IpAddress::parse("192.0.2.100"), L4::udp, Port{443}});
  ledger.services.insert({*IpAddress::parse("2001:db8::1"), L4::tcp, Port{80}});
  ledger.services.insert({*IpAddress::parse("::"), L4::tcp, Port{}, 7});
  ledger.endpoints.insert({*IpAddress::parse("192.0.2.111"), Port{0}});
  ledger.sysctls = {{"net/ipv4/conf/all/arp_ignore", "0"}};
  ledger.limits = MptcpLimits{2, 0};
  ledger.timeouts = {.tcp = 900, .tcp_fin = 0, .udp = 300};
  for (const SyncRole role : {SyncRole::master, SyncRole::backup})
    ledger.daemons.insert({role,
                           {.device = "eth0",
                            .id = 255,
                            .max_length = 1472,
                            .group = *IpAddress::parse("ff02::81"),
                            .port = Port{8848},
                            .ttl = 3}});
  ledger.tunnels = {"lbctl-ipip", "lbctl-gre"};
  ledger.fou = {{Family::v4, Port{6080}}, {Family::v6, Port{6080}}};
  ledger.nft = true;
  const ServiceKey web{*IpAddress::parse("192.0.2.100"), L4::udp, Port{443}};
  const DestinationKey rs1{*IpAddress::parse("192.0.2.11"), Port{443}};
  ledger.leaving.destinations[{web, rs1}] = {UnixTime{1700000000}, 7, true};
  ledger.leaving.addresses[*IpAddress::parse("2001:db8::1")] = UnixTime{1700000001};
  ledger.leaving.marked_vips[*IpAddress::parse("192.0.2.100")] = UnixTime{1700000004};
  ledger.leaving.steered[{web.address, web.port}] = UnixTime{1700000002};
  ledger.leaving.server_ids[ServerId{3}] = UnixTime{1700000003};
  ledger.leaving.server_ids[{.low = 3, .high = 1}] = UnixTime{1700000005};
  ledger.leaving.server_ids[{.low = 3, .space = IdSpace::ipv4}] = UnixTime{1700000006};
  const auto read = engine::parse_ledger(engine::to_text(ledger));
  REQUIRE(read);
  CHECK(*read == ledger);
}

TEST_CASE("ledger: a damaged one is an error, never an empty one") {
  const std::string good = engine::to_text({});
  for (const std::string& text :
       {std::string(), std::string("{}"), good.substr(0, good.size() / 2), std::string("[1]"),
        std::string(R"({"schema_version":2})"),
        std::string(R"({"schema_version":1,"services":[{"address":"x"}],"endpoints":[],)"
                    R"("sysctls":{},"nft":false,"xdp":false})")}) {
    CAPTURE(text);
    CHECK_FALSE(engine::parse_ledger(text));
  }
}
