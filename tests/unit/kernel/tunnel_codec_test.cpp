// What is sent for tunnel ends has the shape of what the kernel lists.
#include <doctest/doctest.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "rtnl/tunnel_codec.hpp"

using namespace lbctl::model;
using namespace lbctl::kernel;

namespace {

/// A request for a new device, as the kernel would list that device: with a number, and up.
rtnl::TunnelLink listed(const TunnelDevice& device) {
  auto message = rtnl::encode_add_tunnel("lbctl-x", device);
  REQUIRE(message);
  auto* info = static_cast<ifinfomsg*>(nlmsg_data(nlmsg_hdr(message->get())));
  info->ifi_index = 7;
  info->ifi_flags = IFF_UP;
  auto read = rtnl::decode_tunnel(*nlmsg_hdr(message->get()));
  REQUIRE(read);
  return *read;
}

}  // namespace

TEST_CASE("tunnel: devices of every kind keep their ends and their checksum") {
  const IpAddress v4 = *IpAddress::parse("192.0.2.11");
  const IpAddress v6 = *IpAddress::parse("2001:db8::11");
  for (const TunnelDevice& device : std::vector<TunnelDevice>{
           {.kind = TunnelKind::ipip, .local = v4},
           {.kind = TunnelKind::ip6tnl, .local = v6},
           {.kind = TunnelKind::gre, .local = v4, .remote = {}, .checksum = true},
           {.kind = TunnelKind::gre, .local = v4, .remote = *IpAddress::parse("192.0.2.1")},
           {.kind = TunnelKind::ip6gre, .local = v6, .remote = {}, .checksum = true}}) {
    CAPTURE(name(device.kind));
    const rtnl::TunnelLink read = listed(device);
    CHECK(read.index == 7);
    CHECK(read.name == "lbctl-x");
    CHECK(read.device == device);
  }
}

TEST_CASE("tunnel: a change of a device is none of its ends, and no tunnel to a reader") {
  const auto change = rtnl::encode_set_tunnel(7, {.kind = TunnelKind::ipip});
  REQUIRE(change);
  const auto* info = static_cast<ifinfomsg*>(nlmsg_data(nlmsg_hdr(change->get())));
  CHECK(info->ifi_index == 7);
  CHECK(info->ifi_change == IFF_UP);
  CHECK(info->ifi_flags == IFF_UP);
  CHECK_FALSE(rtnl::decode_tunnel(*nlmsg_hdr(change->get())));
}

TEST_CASE("tunnel: ports of foo-over-UDP in both families, gue or not") {
  for (const Family family : {Family::v4, Family::v6})
    for (const bool gue : {true, false}) {
      const FouKey key{family, Port{6080}};
      const auto message = rtnl::encode_add_fou(key, {.gue = gue});
      REQUIRE(message);
      const auto read = rtnl::decode_fou(*reinterpret_cast<const nlmsghdr*>(message->data()));
      REQUIRE(read);
      CHECK(read->key == key);
      CHECK(read->port == FouPort{.gue = gue});
    }
}
