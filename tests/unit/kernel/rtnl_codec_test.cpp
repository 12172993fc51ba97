#include <doctest/doctest.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>

#include "rtnl/announce.hpp"
#include "rtnl/codec.hpp"

using namespace lbctl;
using namespace lbctl::kernel::rtnl;

namespace {

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

std::vector<std::uint8_t> octets_of(const Result<Message>& message) {
  REQUIRE(message.has_value());
  const nlmsghdr* header = nlmsg_hdr(message->get());
  const auto* first = reinterpret_cast<const std::uint8_t*>(header);
  return {first, first + header->nlmsg_len};
}

const nlmsghdr& header(const std::vector<std::uint8_t>& message) {
  return *reinterpret_cast<const nlmsghdr*>(message.data());
}

/// A link and a neighbour as the kernel would tell of them.
Result<Message> link_message() {
  Message message(nlmsg_alloc_simple(RTM_NEWLINK, 0));
  ifinfomsg info{};
  info.ifi_index = 5;
  info.ifi_type = ARPHRD_ETHER;
  info.ifi_flags = IFF_UP;
  nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
  nla_put_string(message.get(), IFLA_IFNAME, "eth0");
  const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0, 1};
  nla_put(message.get(), IFLA_ADDRESS, 6, mac.data());
  nlattr* nest = nla_nest_start(message.get(), IFLA_LINKINFO);
  nla_put_string(message.get(), IFLA_INFO_KIND, "veth");
  nla_nest_end(message.get(), nest);
  return message;
}

Result<Message> neighbour_message(std::uint16_t state) {
  Message message(nlmsg_alloc_simple(RTM_NEWNEIGH, 0));
  ndmsg info{};
  info.ndm_family = AF_INET;
  info.ndm_ifindex = 5;
  info.ndm_state = state;
  nlmsg_append(message.get(), &info, sizeof info, NLMSG_ALIGNTO);
  const auto address = ip("192.0.2.11");
  nla_put(message.get(), NDA_DST, 4, address.octets().data());
  const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0, 11};
  nla_put(message.get(), NDA_LLADDR, 6, mac.data());
  return message;
}

template <class Decode>
void cut_everywhere(const std::vector<std::uint8_t>& message, Decode decode) {
  for (std::size_t cut = NLMSG_HDRLEN; cut < message.size(); ++cut) {
    std::vector<std::uint8_t> piece(message.begin(),
                                    message.begin() + static_cast<std::ptrdiff_t>(cut));
    reinterpret_cast<nlmsghdr*>(piece.data())->nlmsg_len = static_cast<std::uint32_t>(cut);
    (void)decode(header(piece));
  }
  for (std::size_t at = NLMSG_HDRLEN; at < message.size(); ++at) {
    auto spoilt = message;
    spoilt[at] ^= 0xff;
    (void)decode(header(spoilt));
  }
}

}  // namespace

TEST_CASE("rtnl: an address that is sent is read as the same") {
  for (const char* text : {"192.0.2.100", "2001:db8::100"}) {
    const Address address{.device = 5,
                          .address = ip(text),
                          .prefix = ip(text).full_prefix(),
                          .protocol = model::rtnl_protocol};
    const auto message = octets_of(encode_add_address(address, false));
    const auto read = decode_address(header(message));
    REQUIRE(read.has_value());
    CHECK(*read == address);
    cut_everywhere(message, decode_address);
  }
}

TEST_CASE("rtnl: on lo an IPv4 address has scope host") {
  const Address address{.device = 1, .address = ip("192.0.2.100"), .prefix = 32, .protocol = 76};
  const auto scope = [&](bool on_loopback) {
    const auto message = octets_of(encode_add_address(address, on_loopback));
    ifaddrmsg info{};
    std::memcpy(&info, message.data() + NLMSG_HDRLEN, sizeof info);
    return info.ifa_scope;
  };
  CHECK(scope(true) == RT_SCOPE_HOST);
  CHECK(scope(false) == RT_SCOPE_UNIVERSE);
}

TEST_CASE("rtnl: a device is read with its kind and MAC") {
  const auto message = octets_of(link_message());
  const auto link = decode_link(header(message));
  REQUIRE(link.has_value());
  CHECK(link->name == "eth0");
  CHECK(link->facts.index == 5);
  CHECK(link->facts.kind == "veth");
  CHECK(link->facts.mac.text() == "02:00:00:00:00:01");
  CHECK(link->facts.up);
  CHECK(link->arp);
  cut_everywhere(message, decode_link);
}

TEST_CASE("rtnl: a neighbour counts as resolved in the states that have a MAC to use") {
  for (const std::uint16_t state : std::array<std::uint16_t, 5>{NUD_REACHABLE, NUD_STALE, NUD_DELAY,
                                                                NUD_PROBE, NUD_PERMANENT}) {
    const auto message = octets_of(neighbour_message(state));
    const auto read = decode_neighbour(header(message));
    REQUIRE(read.has_value());
    CHECK(read->resolved());
    CHECK(read->address == ip("192.0.2.11"));
    CHECK(read->mac.text() == "02:00:00:00:00:0b");
    cut_everywhere(message, decode_neighbour);
  }
  for (const std::uint16_t state :
       std::array<std::uint16_t, 4>{NUD_INCOMPLETE, NUD_FAILED, NUD_NOARP, NUD_NONE})
    CHECK(!decode_neighbour(header(octets_of(neighbour_message(state))))->resolved());
}

TEST_CASE("rtnl: an advertisement is complete, to the checksum") {
  const model::MacAddress mac{{2, 0, 0, 0, 0, 1}};
  const auto frames = announcement(ip("2001:db8::100"), mac);
  REQUIRE(frames.size() == 1);
  const Frame expected{0x33, 0x33, 0,    0,    0,    1,  2,  0,   0, 0, 0, 1, 0x86, 0xdd,        //
                       0x60, 0,    0,    0,    0,    32, 58, 255,                                //
                       0x20, 1,    0x0d, 0xb8, 0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    1, 0,  //
                       0xff, 2,    0,    0,    0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    0, 1,  //
                       136,  0,    0xf7, 0x2c, 0x20, 0,  0,  0,                                  //
                       0x20, 1,    0x0d, 0xb8, 0,    0,  0,  0,   0, 0, 0, 0, 0,    0,    1, 0,  //
                       2,    1,    2,    0,    0,    0,  0,  1};
  CHECK(frames[0] == expected);
}
