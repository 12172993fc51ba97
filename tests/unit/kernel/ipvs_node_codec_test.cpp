// What is sent for timeouts and sync daemons has the shape of what the kernel lists.
#include <doctest/doctest.h>

#include "ipvs/codec.hpp"
#include "netlink_bytes.hpp"

using namespace lbctl::model;
using namespace lbctl::kernel;

namespace {

SyncDaemon daemon_with(const char* group) {
  return {.device = "eth0",
          .id = 255,
          .max_length = 1472,
          .group = *IpAddress::parse(group),
          .port = Port{8848},
          .ttl = 3};
}

const nlmsghdr& header_of(const genl::Message& message) {
  return *reinterpret_cast<const nlmsghdr*>(message.data());
}

}  // namespace

TEST_CASE("ipvs: only the timeouts that are meant are sent") {
  const auto message = ipvs::encode(SetIpvsTimeouts{{}, {.tcp = 900, .tcp_fin = 0, .udp = 10}});
  REQUIRE(message);
  CHECK(test::payload(*message) ==
        "0c 01 00 00 "               // SET_CONFIG
        "08 00 04 00 84 03 00 00 "   // TIMEOUT_TCP
        "08 00 06 00 0a 00 00 00");  // TIMEOUT_UDP
  CHECK(ipvs::decode_timeouts(header_of(*message)).value() ==
        IpvsTimeouts{.tcp = 900, .tcp_fin = 0, .udp = 10});
}

TEST_CASE("ipvs: a sync daemon with groups of both families, its port in host order") {
  for (const char* group : {"224.0.0.81", "ff02::81"}) {
    for (const SyncRole role : {SyncRole::master, SyncRole::backup}) {
      const auto message = ipvs::encode(StartSync{role, daemon_with(group)});
      REQUIRE(message);
      const auto read = ipvs::decode_daemon(header_of(*message));
      REQUIRE(read);
      CHECK(read->role == role);
      CHECK(read->daemon == daemon_with(group));
    }
  }
  SyncDaemon nameless = daemon_with("224.0.0.81");
  nameless.device.clear();
  CHECK_FALSE(ipvs::encode(StartSync{SyncRole::master, nameless}));
}

TEST_CASE("ipvs: a daemon is stopped by its role; other answers are not taken for one") {
  const auto stop = ipvs::encode(StopSync{SyncRole::backup, {}});
  REQUIRE(stop);
  CHECK(test::payload(*stop) ==
        "0a 01 00 00 "                           // DEL_DAEMON
        "0c 00 03 80 08 00 01 00 02 00 00 00");  // backup
  CHECK_FALSE(ipvs::decode_daemon(header_of(*stop)));
  CHECK_FALSE(ipvs::decode_timeouts(header_of(*stop)));
}
