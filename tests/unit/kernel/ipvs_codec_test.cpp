#include "ipvs/codec.hpp"

#include <doctest/doctest.h>

#include "ipvs_recorded.hpp"
#include "netlink_bytes.hpp"

namespace model = lbctl::model;
using namespace lbctl::kernel;
using model::DestinationKey;
using model::IpAddress;
using model::Port;
using model::ServiceKey;
using test::Raw;

namespace {
const ServiceKey web{.address = *IpAddress::parse("192.0.2.100"), .port = Port{443}};
const ServiceKey quic6{
    .address = *IpAddress::parse("2001:db8::100"), .protocol = model::L4::udp, .port = Port{443}};
const ServiceKey mark6{.address = *IpAddress::parse("::"), .fwmark = 7};
const DestinationKey rs1{.address = *IpAddress::parse("192.0.2.11"), .port = Port{443}};
const DestinationKey rs1_v6{.address = *IpAddress::parse("2001:db8::11"), .port = Port{443}};

const model::VirtualService persistent_mh{.scheduler = "mh",
                                          .flags = {.persistent = true, .sched2 = true},
                                          .persistence_timeout = 300,
                                          .persistence_prefix = 24,
                                          .destinations = {}};

std::string encoded(const model::Action& action) {
  auto message = ipvs::encode(action);
  return message ? test::payload(*message) : "error: " + message.error().text();
}
}  // namespace

TEST_CASE("ipvs: adding a service carries every attribute that the kernel requires") {
  CHECK(encoded(model::AddService{web, persistent_mh}) ==
        "01 01 00 00 "                                                  // NEW_SERVICE
        "54 00 01 80 06 00 01 00 02 00 00 00 06 00 02 00 06 00 00 00 "  // IPv4, TCP
        "14 00 03 00 c0 00 02 64 00 00 00 00 00 00 00 00 00 00 00 00 "  // 192.0.2.100
        "06 00 04 00 01 bb 00 00 07 00 06 00 6d 68 00 00 "              // 443, "mh"
        "0c 00 07 00 11 00 00 00 3d 00 00 00 "                          // flags, mask
        "08 00 08 00 2c 01 00 00 08 00 09 00 ff ff ff 00");             // 300 s, /24
}

TEST_CASE("ipvs: an IPv6 service tells its persistence as prefix length, a mark as mark") {
  const model::VirtualService v6{.scheduler = "rr",
                                 .flags = {.one_packet = true},
                                 .persistence_prefix = 64,
                                 .destinations = {}};
  CHECK(encoded(model::EditService{quic6, {}, v6}) ==
        "02 01 00 00 "
        "54 00 01 80 06 00 01 00 0a 00 00 00 06 00 02 00 11 00 00 00 "
        "14 00 03 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 01 00 "
        "06 00 04 00 01 bb 00 00 07 00 06 00 72 72 00 00 "
        "0c 00 07 00 04 00 00 00 3d 00 00 00 08 00 08 00 00 00 00 00 08 00 09 00 40 00 00 00");
  CHECK(encoded(model::RemoveService{mark6}) ==
        "03 01 00 00 14 00 01 80 06 00 01 00 0a 00 00 00 08 00 05 00 07 00 00 00");
}

TEST_CASE("ipvs: a destination names its service and all its settings") {
  const model::Destination settings{.weight = model::Weight{0x1234},
                                    .forward = model::Forward::tunnel,
                                    .upper_threshold = 500,
                                    .lower_threshold = 400};
  const std::string service =
      "30 00 01 80 06 00 01 00 02 00 00 00 06 00 02 00 06 00 00 00 "
      "14 00 03 00 c0 00 02 64 00 00 00 00 00 00 00 00 00 00 00 00 06 00 04 00 01 bb 00 00 ";
  const std::string key =
      "14 00 01 00 c0 00 02 0b 00 00 00 00 00 00 00 00 00 00 00 00 06 00 02 00 01 bb 00 00 "
      "06 00 0b 00 02 00 00 00";
  const std::string rest =
      " 08 00 03 00 02 00 00 00 08 00 04 00 34 12 00 00 08 00 05 00 f4 01 00 00 "
      "08 00 06 00 90 01 00 00";
  CHECK(encoded(model::AddDestination{web, rs1, settings}) ==
        "05 01 00 00 " + service + "48 00 02 80 " + key + rest);
  CHECK(encoded(model::EditDestination{web, rs1, {}, settings}) ==
        "06 01 00 00 " + service + "48 00 02 80 " + key + rest);
  CHECK(encoded(model::RemoveDestination{web, rs1}) ==
        "07 01 00 00 " + service + "28 00 02 80 " + key);
}

TEST_CASE("ipvs: a tunnel tells its kind, port and checksum; plain ipip is what the kernel takes") {
  const auto tail = [](model::Tunnel tunnel) {
    const std::string bytes = encoded(model::EditDestination{
        web, rs1, {}, {.forward = model::Forward::tunnel, .tunnel = tunnel}});
    const std::string limits = "08 00 05 00 00 00 00 00 08 00 06 00 00 00 00 00";
    return bytes.substr(bytes.find(limits) + limits.size());
  };
  using enum model::TunnelChecksum;
  CHECK(tail({}).empty());
  CHECK(tail({model::TunnelType::gue, Port{6080}, remote}) ==
        " 05 00 0d 00 01 00 00 00 06 00 0e 00 17 c0 00 00 06 00 0f 00 02 00 00 00");
  CHECK(tail({model::TunnelType::gre, {}, full}) ==
        " 05 00 0d 00 02 00 00 00 06 00 0e 00 00 00 00 00 06 00 0f 00 01 00 00 00");
}

TEST_CASE("ipvs: a tunnel is read, and what stands there without one is not") {
  // Recorded with direct routing; the way of forwarding and the tunnel are put in by hand.
  const auto read = [](std::uint8_t forward, std::uint8_t type, std::uint8_t flags) {
    auto bytes = test::octets(test::tcp_destination);
    bytes[40] = forward;
    bytes[56] = type;
    bytes[64] = 0x17, bytes[65] = 0xc0;
    bytes[72] = flags;
    return ipvs::decode_destination(*Raw(bytes, 0x20, 0), model::Family::v4);
  };
  using enum model::TunnelChecksum;
  const auto tunnel = [&](std::uint8_t type, std::uint8_t flags) {
    const auto entry = read(2, type, flags);
    REQUIRE(entry);
    return entry->destination.tunnel;
  };
  CHECK(tunnel(0, 0) == model::Tunnel{});
  CHECK(tunnel(1, 0) == model::Tunnel{model::TunnelType::gue, Port{6080}, none});
  CHECK(tunnel(1, 2) == model::Tunnel{model::TunnelType::gue, Port{6080}, remote});
  CHECK(tunnel(2, 1) == model::Tunnel{model::TunnelType::gre, {}, full});
  CHECK_FALSE(read(2, 3, 0));
  const auto direct = read(3, 1, 1);
  REQUIRE(direct);
  CHECK(direct->destination.tunnel == model::Tunnel{});
}

TEST_CASE("ipvs: what the kernel would refuse without a word is refused with one") {
  CHECK(encoded(model::AddService{
            web, {.scheduler = "sixteen-letters-", .flags = {}, .destinations = {}}}) ==
        "error: scheduler name \"sixteen-letters-\": must have 1 to 15 characters");
  CHECK(encoded(
            model::AddService{web, {.flags = {}, .persistence_prefix = 33, .destinations = {}}}) ==
        "error: persistence prefix length above that of an address");
  CHECK(encoded(model::SetMptcpLimits{}) == "error: this is not an operation on IPVS");
}

TEST_CASE("ipvs: recorded services are read") {
  auto tcp = ipvs::decode_service(*Raw(test::tcp_service));
  REQUIRE(tcp);
  REQUIRE(*tcp);
  CHECK((*tcp)->key == web);
  CHECK((*tcp)->service == persistent_mh);

  auto udp = ipvs::decode_service(*Raw(test::udp6_service));
  REQUIRE(udp);
  REQUIRE(*udp);
  CHECK((*udp)->key == quic6);
  CHECK((*udp)->service == model::VirtualService{.scheduler = "rr",
                                                 .flags = {.one_packet = true},
                                                 .persistence_prefix = 128,
                                                 .destinations = {}});

  auto mark = ipvs::decode_service(*Raw(test::fwmark6_service));
  REQUIRE(mark);
  REQUIRE(*mark);
  CHECK((*mark)->key == mark6);
  CHECK((*mark)->service.scheduler == "wlc");
}

TEST_CASE("ipvs: an SCTP service is passed over, not an error") {
  auto sctp = ipvs::decode_service(*Raw(test::sctp_service));
  REQUIRE(sctp);
  CHECK_FALSE(*sctp);
}

TEST_CASE("ipvs: recorded destinations are read, with their counters") {
  auto quiet = ipvs::decode_destination(*Raw(test::tcp_destination), model::Family::v4);
  REQUIRE(quiet);
  CHECK(quiet->key == rs1);
  CHECK(quiet->destination == model::Destination{.weight = model::Weight{10},
                                                 .forward = model::Forward::route,
                                                 .upper_threshold = 500,
                                                 .lower_threshold = 400});
  CHECK(quiet->counters.connections == 0);

  auto busy = ipvs::decode_destination(*Raw(test::busy_destination), model::Family::v4);
  REQUIRE(busy);
  CHECK(busy->counters.active_connections == 3);
  CHECK(busy->counters.inactive_connections == 5);
  CHECK(busy->counters.connections == 258);
  CHECK(busy->counters.packets_in == 515);
  CHECK(busy->counters.bytes_in == (std::uint64_t{1} << 32) + 1);
}

TEST_CASE("ipvs: a weight above 65535 reads as 65535") {
  auto entry = ipvs::decode_destination(*Raw(test::udp6_destination), model::Family::v6);
  REQUIRE(entry);
  CHECK(entry->key == rs1_v6);
  CHECK(number(entry->destination.weight) == 65535);
  CHECK(entry->destination.forward == model::Forward::masquerade);
}

TEST_CASE("ipvs: a message that is cut anywhere is an error") {
  std::size_t cuts = 0;
  test::for_each_cut(test::tcp_service, [&](const Raw& cut) {
    ++cuts;
    CHECK_FALSE(ipvs::decode_service(*cut));
  });
  test::for_each_cut(test::busy_destination, [&](const Raw& cut) {
    ++cuts;
    CHECK_FALSE(ipvs::decode_destination(*cut, model::Family::v4));
  });
  CHECK(cuts == 304 + 340);
}

TEST_CASE("ipvs: an unknown family, way of forwarding or message is an error") {
  auto bytes = test::octets(test::tcp_service);
  bytes[12] = 11;  // the value of IPVS_SVC_ATTR_AF
  CHECK_FALSE(ipvs::decode_service(*Raw(bytes, 0x20, 0)));
  bytes = test::octets(test::tcp_destination);
  bytes[40] = 4;  // the value of IPVS_DEST_ATTR_FWD_METHOD
  CHECK_FALSE(ipvs::decode_destination(*Raw(bytes, 0x20, 0), model::Family::v4));
  CHECK_FALSE(ipvs::decode_service(*Raw(test::tcp_destination)));
}
