#include "mptcp/codec.hpp"

#include <doctest/doctest.h>

#include "netlink_bytes.hpp"

using namespace lbctl::model;
using namespace lbctl::kernel;
using lbctl::Errc;
using test::Raw;

namespace {
const EndpointKey v4_port{.address = *IpAddress::parse("192.0.2.100"), .port = Port{44301}};
const EndpointKey v6{.address = *IpAddress::parse("2001:db8::1"), .port = Port{}};

// Recorded from Linux 6.1.192 (6.12.117 and 6.18.44 list the same octets) after
//   ip mptcp endpoint add 127.0.0.1 port 4433 dev lo signal
//   ip mptcp endpoint add 2001:db8::1 subflow backup fullmesh id 77
const std::string listed_v4 =
    "03 01 00 00 34 00 01 80 06 00 01 00 02 00 00 00 06 00 05 00 51 11 00 00 05 00 02 00 01 00 00 "
    "00 "
    "08 00 06 00 01 00 00 00 08 00 07 00 01 00 00 00 08 00 03 00 7f 00 00 01";
const std::string listed_v6 =
    "03 01 00 00 38 00 01 80 06 00 01 00 0a 00 00 00 06 00 05 00 00 00 00 00 05 00 02 00 4d 00 00 "
    "00 "
    "08 00 06 00 0e 00 00 00 14 00 04 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01";
const std::string listed_limits = "06 01 00 00 08 00 02 00 00 00 00 00 08 00 03 00 02 00 00 00";
}  // namespace

TEST_CASE("mptcp: adding an endpoint tells address, port, flags and device") {
  auto message = mptcp::encode_add(v4_port, {.signal = true, .device = "lo"}, 3);
  REQUIRE(message);
  CHECK(test::payload(*message) ==
        "01 01 00 00 2c 00 01 80 06 00 01 00 02 00 00 00 08 00 03 00 c0 00 02 64 "
        "06 00 05 00 0d ad 00 00 08 00 06 00 01 00 00 00 08 00 07 00 03 00 00 00");
  message =
      mptcp::encode_add(v6, {.subflow = true, .backup = true, .fullmesh = true, .device = ""}, 0);
  REQUIRE(message);
  CHECK(test::payload(*message) ==
        "01 01 00 00 28 00 01 80 06 00 01 00 0a 00 00 00 "
        "14 00 04 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 08 00 06 00 0e 00 00 00");
}

TEST_CASE("mptcp: removing tells the id, limits travel together") {
  auto message = mptcp::encode_remove(v4_port, 200);
  REQUIRE(message);
  CHECK(test::payload(*message) ==
        "02 01 00 00 24 00 01 80 06 00 01 00 02 00 00 00 08 00 03 00 c0 00 02 64 "
        "06 00 05 00 0d ad 00 00 05 00 02 00 c8 00 00 00");
  message = mptcp::encode_set_limits({.subflows = 8, .add_addr_accepted = 1});
  REQUIRE(message);
  CHECK(test::payload(*message) == "05 01 00 00 08 00 02 00 01 00 00 00 08 00 03 00 08 00 00 00");
}

TEST_CASE("mptcp: recorded endpoints are read") {
  auto entry = mptcp::decode_endpoint(*Raw(listed_v4));
  REQUIRE(entry);
  CHECK(entry->key.text() == "127.0.0.1:4433");
  CHECK(entry->endpoint == Endpoint{.signal = true, .device = ""});
  CHECK(entry->endpoint.id == 1);
  CHECK(entry->device == 1);
  CHECK_FALSE(entry->implicit);

  entry = mptcp::decode_endpoint(*Raw(listed_v6));
  REQUIRE(entry);
  CHECK(entry->key == v6);
  CHECK(entry->endpoint.text() == "subflow backup fullmesh");
  CHECK(entry->endpoint.id == 77);
  CHECK(entry->device == 0);
}

TEST_CASE("mptcp: flags that the model does not know do not disturb, implicit is told") {
  auto bytes = test::octets(listed_v4);
  bytes[36] = 0xe1;  // signal, and bits 5 to 7 of later kernels
  auto entry = mptcp::decode_endpoint(*Raw(bytes, 0x1c, 0));
  REQUIRE(entry);
  CHECK(entry->endpoint.text() == "signal");
  CHECK_FALSE(entry->implicit);
  bytes[36] = 0x10;
  entry = mptcp::decode_endpoint(*Raw(bytes, 0x1c, 0));
  REQUIRE(entry);
  CHECK(entry->implicit);
}

TEST_CASE("mptcp: recorded limits are read") {
  auto limits = mptcp::decode_limits(*Raw(listed_limits));
  REQUIRE(limits);
  CHECK(*limits == MptcpLimits{.subflows = 2, .add_addr_accepted = 0});
}

TEST_CASE("mptcp: a message that is cut anywhere is an error") {
  std::size_t cuts = 0;
  for (const auto& whole : {listed_v4, listed_v6})
    test::for_each_cut(whole, [&](const Raw& cut) {
      ++cuts;
      CHECK_FALSE(mptcp::decode_endpoint(*cut));
    });
  test::for_each_cut(listed_limits, [&](const Raw& cut) {
    ++cuts;
    CHECK_FALSE(mptcp::decode_limits(*cut));
  });
  CHECK(cuts == 56 + 60 + 20);
}

TEST_CASE("mptcp: refusals tell the mend") {
  const AddEndpoint add{v4_port, {.signal = true, .device = ""}};
  const auto hint = [&](int sys) { return mptcp::explain(add, {.sys = sys, .words = ""}).hint(); };
  CHECK(hint(ERANGE).contains("at most 8 endpoints"));
  CHECK(hint(EADDRNOTAVAIL).contains("the address must stand on a device first"));
  CHECK(hint(EADDRINUSE).contains("a program listens on port 44301"));
  CHECK(hint(EEXIST).contains("an endpoint for 192.0.2.100 already"));
  CHECK(hint(EPERM).contains("CAP_NET_ADMIN"));
  const auto error = mptcp::explain(add, {.sys = EEXIST, .words = "too many or duplicate"});
  CHECK(error.code() == Errc::conflict);
  CHECK(error.text() ==
        "add endpoint 192.0.2.100:44301 signal: kernel: \"too many or duplicate\": File exists "
        "(EEXIST)");
  CHECK(mptcp::explain_family(lbctl::Error::from_errno(ENOENT, "look up")).code() ==
        Errc::unsupported);
}

TEST_CASE("mptcp: the bare EINVAL of Linux 6.1 is told apart by what is there") {
  const auto refined = [&](int sys, const std::vector<mptcp::EndpointEntry>& present) {
    return mptcp::refine(v4_port, {.sys = sys, .words = "too many"}, present).sys;
  };
  mptcp::EndpointEntry same, other;
  same.key = v4_port;
  other.key = v6;
  CHECK(refined(EINVAL, {other, same}) == EEXIST);
  CHECK(refined(EINVAL, {other}) == EINVAL);
  CHECK(refined(EINVAL, std::vector(8, other)) == ERANGE);
  CHECK(refined(EPERM, {other, same}) == EPERM);
  same.implicit = true;  // the kernel replaces those
  CHECK(refined(EINVAL, {same}) == EINVAL);
}
