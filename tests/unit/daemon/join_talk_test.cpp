// Against what Linux 6.18 answered on the wire; checksums of its answers are those that offloading
// left unfinished.
#include "join_talk.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "octets.hpp"

using namespace lbctl;
using namespace lbctl::daemon;

namespace {

model::IpAddress ip(const char* text) {
  return *model::IpAddress::parse(text);
}

std::string from_hex(std::string_view text) {
  std::string out;
  for (; text.size() > 1; text.remove_prefix(2))
    out += static_cast<char>(std::stoi(std::string(text.substr(0, 2)), nullptr, 16));
  return out;
}

/// A line for each packet: its next hop and the TCP segment in hexadecimal.
std::string sent(const std::vector<JoinTalk::Outgoing>& packets) {
  std::string out;
  for (const auto& [next_hop, packet] : packets) {
    out += next_hop.text() + " ";
    for (const char octet : packet.substr(next_hop.is_v4() ? 20 : 40))
      out += fmt::format("{:02x}", static_cast<unsigned char>(octet));
    out += "\n";
  }
  return out;
}

const auto server = ip("192.0.2.12"), signal_address = ip("192.0.2.112");

JoinTalk talk_v4() {
  return {{{ip("192.0.2.10"), model::Port{0xa4bf}},
           {server, model::Port{443}},
           {signal_address, model::Port{443}},
           server},
          {0x3678b9586c01adba, 0xb970655d, 0x4fbbeb98, 0x75405f84}};
}

const std::string capable =
    from_hex("01bba4bf7e13a8ebb970655e9012faf084410000020405b41e0c012188c29ae1d3029c3a");
const std::string announcement =
    from_hex("01bba4bf7e13a8ecb970655e9010f928844100001e103001c0000270bc4625093e06faf5");
const std::string join =
    from_hex("01bba4bf010bba964fbbeb99a012faf084a90000020405b41e101001b90d6f5f94f72064281a6288");
const std::string joined = from_hex("01bba4bf010bba974fbbeb997010f928849d00001e082001b0f61b64");
/// By a server whose path manager takes no subflows.
const std::string prohibited = from_hex("01bba4bf010bba970000000060040000c2fa00001e048003");
/// Without an option, in answer to the join's SYN.
const std::string reset = from_hex("01bba4bf000000004fbbeb995014000000000000");

std::string with(std::string segment, std::size_t at, int octet) {
  segment[at] = static_cast<char>(octet);
  return segment;
}

std::string outcome(const JoinTalk& talk) {
  return talk.outcome().value_or("it goes on: " + talk.unanswered());
}

/// Of a talk that got these answers to its connection and to its join.
std::string after(const std::string& connection, const std::vector<std::string>& joins = {}) {
  JoinTalk talk = talk_v4();
  talk.hear(server, connection);
  for (const std::string& answer : joins)
    talk.hear(signal_address, answer);
  return outcome(talk);
}

}  // namespace

TEST_CASE("join talk: what is sent, octet by octet, when Linux takes the join") {
  JoinTalk talk = talk_v4();
  CHECK(sent(talk.due()) ==
        "192.0.2.12 a4bf01bbb970655d000000007002ffff20ae0000020404c41e040101\n");
  CHECK(talk.hear(server, capable));
  const std::string both =
      "192.0.2.12 a4bf01bbb970655e7e13a8eca010ffff33dc00001e1401013678b9586c01adba88c29ae1d3029c3a"
      "\n192.0.2.12 a4bf01bb4fbbeb98000000009002ffffadb60000020404c41e0c10001a09383075405f84\n";
  CHECK(sent(talk.due()) == both);
  CHECK(!talk.hear(server, announcement));
  CHECK(sent(talk.due()) == both);  // as long as nothing answers the join
  CHECK(talk.hear(signal_address, join));
  CHECK(sent(talk.due()) ==
        "192.0.2.12 a4bf01bb4fbbeb99010bba97b010ffff0f0300001e181000"
        "4dd7da008d708cd45cc5e02ccf971cbac359c1f8\n");
  CHECK(!talk.hear(signal_address, join));  // once more
  CHECK(talk.hear(signal_address, joined));
  CHECK(outcome(talk) == "");
  CHECK(talk.due().empty());
  CHECK(sent(talk.farewell()) ==
        "192.0.2.12 a4bf01bb4fbbeb99010bba975004ffff8df30000\n"
        "192.0.2.12 a4bf01bbb970655e7e13a8ec8014ffffee7500001e0c700088c29ae1d3029c3a\n");
}

TEST_CASE("join talk: by IPv6") {
  const auto address = ip("2001:db8:100::12"), signal = ip("2001:db8:100::112");
  JoinTalk talk({{ip("2001:db8:100::10"), model::Port{0xcfaf}},
                 {address, model::Port{443}},
                 {signal, model::Port{443}},
                 address},
                {0x3fca9fd976bec155, 0x99a2beb1, 0xcf8dfb82, 0x19a1bacd});
  CHECK(sent(talk.due()) ==
        "2001:db8:100::12 cfaf01bb99a2beb1000000007002ffffe2ba0000020404c41e040101\n");
  const std::string packet = talk.due().front().packet;
  CHECK(packet.substr(0, 8) == from_hex("60000000001c0640"));
  CHECK(talk.hear(address, from_hex("01bbcfafb5a1ec1599a2beb29012fd205dbe0000"
                                    "020405a01e0c0121c5ba5eeca4491e02")));
  CHECK(sent(talk.due()) ==
        "2001:db8:100::12 cfaf01bb99a2beb2b5a1ec16a010ffff18f40000"
        "1e1401013fca9fd976bec155c5ba5eeca4491e02\n"
        "2001:db8:100::12 cfaf01bbcf8dfb82000000009002ffff0b130000020404c41e0c10009ae2c58a19a1bacd"
        "\n");
  CHECK(talk.hear(signal, from_hex("01bbcfaf98ddce52cf8dfb83a012fd205ec20000"
                                   "020405a01e101002be7e6d60bcc24b86031550c9")));
  CHECK(talk.hear(signal, from_hex("01bbcfaf98ddce53cf8dfb837010f9285eb600001e082001b10e52e7")));
  CHECK(outcome(talk) == "");
}

TEST_CASE("join talk: what is missing is named") {
  CHECK(after(capable, {join}) ==
        "it goes on: the join to 192.0.2.112:443 was not answered in time");
  CHECK(after(capable, {join, joined}) == "");
  CHECK(after(with(capable, 27, 0x01)) ==
        "it answers without the C flag: joins would go to the VIP");
  const std::string plain = "the server speaks TCP without MPTCP";
  CHECK(after(with(capable, 24, 31)) == plain);    // another option
  CHECK(after(with(capable, 26, 0x00)) == plain);  // version 0
  CHECK(after(with(capable, 27, 0x20)) == plain);  // no algorithm
  CHECK(after(capable, {join, prohibited}) ==
        "the join to 192.0.2.112:443 was answered by RST: administratively prohibited");
  CHECK(after(capable, {with(join, 24, 31)}) ==
        "the join to 192.0.2.112:443 was answered as plain TCP");
  for (const std::size_t at : {std::size_t{28}, std::size_t{35}, std::size_t{36}})
    CHECK(after(capable, {with(join, at, 0)}) ==
          "the join to 192.0.2.112:443 was answered with a wrong HMAC");
}

TEST_CASE("join talk: one RST may be for a join that came too early, the next is meant") {
  CHECK(after(capable, {reset}) == "it goes on: the join to 192.0.2.112:443 was answered by RST");
  CHECK(after(capable, {reset, join, joined}) == "");
  CHECK(after(capable, {reset, reset}) == "the join to 192.0.2.112:443 was answered by RST");
}

TEST_CASE("join talk: what is not of this connection changes nothing") {
  const std::string goes_on = "it goes on: connect: no answer in time";
  CHECK(after(with(capable, 3, 0)) == goes_on);   // another port here
  CHECK(after(with(capable, 0, 0)) == goes_on);   // and there
  CHECK(after(with(capable, 11, 0)) == goes_on);  // an answer to another SYN
  CHECK(after(with(capable, 13, 0x02)) == goes_on);
  CHECK(after(with(reset, 13, 0x04)) == goes_on);
  for (std::size_t size = 0; size < capable.size(); ++size)
    CHECK(after(capable.substr(0, size)) == goes_on);
  JoinTalk talk = talk_v4();
  CHECK(!talk.hear(signal_address, capable));
  CHECK(talk.farewell().empty());
  CHECK(after(capable, {joined}) ==
        "it goes on: the join to 192.0.2.112:443 was not answered in time");
  CHECK(after(capable, {join, with(prohibited, 7, 0)}) ==
        "it goes on: the join to 192.0.2.112:443 was not answered in time");
}

TEST_CASE("join talk: a connection that is reset") {
  std::string refusal = reset;
  refusal.replace(8, 4, from_hex("b970655e"));
  CHECK(after(refusal) == "the connection was reset");
  JoinTalk talk = talk_v4();
  talk.hear(server, capable);
  refusal.replace(4, 4, from_hex("7e13a8ec"));
  CHECK(talk.hear(server, refusal));
  CHECK(outcome(talk) == "the connection was reset");
}

TEST_CASE("segments: options are read in bounds") {
  const auto options = [](const char* hex) {
    Segment out;
    out.options = from_hex(hex);
    return out.mptcp(MptcpSubtype::reset).has_value();
  };
  CHECK(options("1e048003"));
  CHECK(options("0101020405b41e048003"));
  CHECK(!options("1e038003"));          // shorter than any
  CHECK(!options("1e058003"));          // cut off
  CHECK(!options("020105b41e048003"));  // shorter than its own head
  CHECK(!options("000000001e048003"));  // behind the end
  CHECK(options("1e0420001e048003"));   // behind one of another kind
  CHECK(!options("1e"));
  CHECK(!read_segment(from_hex("01bba4bf000000004fbbeb994014000000000000")));  // 16 octets
  CHECK(!read_segment(from_hex("01bba4bf000000004fbbeb996014000000000000")));  // 24, but 20
}
