#include "lbctl/explain/frame.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace lbctl;
using explain::Octets;
using explain::read_frame;

namespace {

/// From text in hexadecimal; blanks are for the reader.
Octets octets(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  Octets out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return out;
}

const std::string stations = "02000000000b 020000000007";
/// 198.51.100.7 -> 192.0.2.100, UDP.
const std::string ipv4 = "45000040 00004000 40110000 c6336407 c0000264";
/// Port 51000 -> 443.
const std::string udp = "c73801bb 002c0000";
const std::string cid = "0800012e6ab1c9f4d0";
const std::string after = "0102030405060708090a0b0c0d0e0f";

}  // namespace

TEST_CASE("a short header: what may be the connection ID") {
  const auto frame = read_frame(octets(stations + "0800" + ipv4 + udp + "40" + cid + after));
  REQUIRE(frame);
  CHECK(frame->flow.text() == "198.51.100.7:51000 -> 192.0.2.100:443/udp");
  CHECK(frame->to.text() == "02:00:00:00:00:0b");
  CHECK(frame->from.text() == "02:00:00:00:00:07");
  CHECK_FALSE(frame->long_header);
  CHECK_FALSE(frame->wrapped_for);
  REQUIRE(frame->cid);
  CHECK(explain::hex(*frame->cid) == cid + after.substr(0, 22));
}

TEST_CASE("a long header: the connection ID that it tells the length of") {
  const auto frame =
      read_frame(octets(stations + "0800" + ipv4 + udp + "c0 00000001 09" + cid + after));
  REQUIRE(frame);
  CHECK(frame->long_header);
  REQUIRE(frame->cid);
  CHECK(explain::hex(*frame->cid) == cid);
}

TEST_CASE("VLAN tags, IPv4 options, IPv6 extension headers, and a tunnel") {
  const std::string quic = "40" + cid + after;
  CHECK(read_frame(octets(stations + "88a80007 8100000a 0800" + ipv4 + udp + quic)));
  CHECK_FALSE(read_frame(octets(stations + "81000001 81000002 81000003 0800" + ipv4 + udp + quic)));
  std::string options = ipv4;
  options.replace(0, 2, "46");
  CHECK(read_frame(octets(stations + "0800" + options + "01010101" + udp + quic))->flow ==
        *model::Flow::parse("198.51.100.7:51000 -> 192.0.2.100:443/udp"));
  const std::string v6 = "20010db8000000000000000000000007 20010db8010000000000000000000100";
  CHECK(read_frame(octets(stations + "86dd 60000000 0034 00 40" + v6 +
                          "3c 00 010400000000 11 00 010400000000" + udp + quic))
            ->flow.text() == "[2001:db8::7]:51000 -> [2001:db8:100::100]:443/udp");
  const auto wrapped = read_frame(
      octets(stations + "0800 45000054 00004000 40040000 c000020b c633640c" + ipv4 + udp + quic));
  REQUIRE(wrapped);
  CHECK(wrapped->wrapped_for->text() == "198.51.100.12");
  CHECK(wrapped->flow.text() == "198.51.100.7:51000 -> 192.0.2.100:443/udp");
}

TEST_CASE("what is not a datagram, and what ends too soon") {
  std::string fragment = ipv4;
  fragment.replace(fragment.find("4000 "), 4, "2000");
  CHECK_FALSE(read_frame(octets(stations + "0800" + fragment + udp + "40" + cid)));
  std::string tcp = ipv4;
  tcp.replace(tcp.find("4011"), 4, "4006");
  CHECK_FALSE(read_frame(octets(stations + "0800" + tcp + udp + "40" + cid)));
  const Octets whole = octets(stations + "0800" + ipv4 + udp + "c0 00000001 09" + cid);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto frame = read_frame(std::span(whole).first(length));
    CHECK(frame.has_value() == (length >= 14 + 20 + 8));
    if (frame) CHECK_FALSE(frame->cid);
  }
}
