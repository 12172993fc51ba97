#include <doctest/doctest.h>

#include <algorithm>

#include "rtnl/echo.hpp"
#include "rtnl/probe.hpp"

using namespace lbctl;
using namespace lbctl::kernel::rtnl;
using Octets = std::vector<std::uint8_t>;

namespace {

const model::IpAddress vip = model::IpAddress::parse("2001:db8:100::100").value();
constexpr model::MacAddress mac{{2, 0, 0, 0, 0, 0x12}}, mine{{2, 0, 0, 0, 0, 1}};

/// Solicited and override, with an option (a nonce) before the address of the link layer.
Octets advertisement() {
  Octets out(40);
  out[0] = 136;
  out[4] = 0x60;
  std::ranges::copy(vip.octets(), out.begin() + 8);
  const Octets options{14, 1, 1, 2, 3, 4, 5, 6, 2, 1};
  std::ranges::copy(options, out.begin() + 24);
  std::ranges::copy(mac.octets, out.begin() + 34);
  return out;
}

}  // namespace

TEST_CASE("ndp: a solicitation names the asker's address of the link layer (RFC 4861 4.3)") {
  CHECK(solicitation(vip, mine) == Octets{135,  0, 0, 0, 0, 0, 0, 0, 0x20, 1, 0x0d,
                                          0xb8, 1, 0, 0, 0, 0, 0, 0, 0,    0, 0,
                                          1,    0, 1, 1, 2, 0, 0, 0, 0,    1});
  CHECK(solicited_node(vip).text() == "ff02::1:ff00:100");
}

TEST_CASE("ndp: who answers") {
  const Octets said = advertisement();
  const auto claim = read_advertisement(said);
  REQUIRE(claim);
  CHECK(claim->first == vip);
  CHECK(claim->second == mac);
  for (std::size_t length = 0; length < said.size(); ++length)
    CHECK(!read_advertisement(std::span(said).first(length)));
  CHECK(!read_advertisement(solicitation(vip, mine)));
  Octets endless = said;
  endless[25] = 0;
  CHECK(!read_advertisement(endless));
  Octets beyond = said;
  beyond[25] = 255;
  CHECK(!read_advertisement(beyond));
}

TEST_CASE("echo: a request of any length, and the answers of both families") {
  const Octets asked = echo_request(true, {0x1234, 2}, 1480);
  CHECK(asked.size() == 1480);
  CHECK(checksum(asked) == 0);
  Octets answer = asked;
  answer[0] = 0;
  Octets packet(32);
  packet[0] = 0x46;  // a header with options
  std::ranges::copy(std::span(answer).first(8), packet.begin() + 24);
  const auto echo = read_echo_reply(true, packet);
  REQUIRE(echo);
  CHECK(echo->id == 0x1234);
  CHECK(echo->sequence == 2);
  for (std::size_t length = 0; length < packet.size(); ++length)
    CHECK(!read_echo_reply(true, std::span(packet).first(length)));
  packet[24] = 8;
  CHECK(!read_echo_reply(true, packet));
  Octets six = echo_request(false, {7, 1}, 8);
  CHECK(!read_echo_reply(false, six));
  six[0] = 129;
  CHECK(read_echo_reply(false, six)->id == 7);
}
