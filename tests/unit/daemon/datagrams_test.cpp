#include "datagrams.hpp"

#include <doctest/doctest.h>

using namespace std::string_literals;
using namespace lbctl::daemon;
using lbctl::config::CheckType;
using lbctl::config::HealthCheck;

namespace {

constexpr std::uint64_t random_bits = 0x1122334455667788;

/// Asks for www.example.org A.
HealthCheck dns() {
  return {.type = CheckType::dns, .dns = {"\3www\7example\3org\0"s, 1}};
}

/// An answer to the query as BIND gives it: flags as given, one record.
std::string dns_answer(std::string_view sent, char flags_high, char flags_low) {
  std::string out(sent);
  out[2] = flags_high;
  out[3] = flags_low;
  out[7] = 1;
  return out + "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"s;
}

std::string negotiation(std::string_view sent, std::string_view versions) {
  return "\xca\0\0\0\0\x08"s + std::string(sent.substr(15, 8)) + "\x08" +
         std::string(sent.substr(6, 8)) + std::string(versions);
}

}  // namespace

TEST_CASE("dns: the query, octet by octet") {
  CHECK(datagram_of(dns(), random_bits) ==
        "\x77\x88\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\3www\7example\3org\0\x00\x01\x00\x01"s);
}

TEST_CASE("dns: an answer to the query that says NOERROR is right") {
  const std::string sent = datagram_of(dns(), random_bits);
  const auto why = [&](const std::string& answer) { return wrong_answer(dns(), sent, answer); };
  const std::string good = dns_answer(sent, '\x81', '\x80');
  CHECK(why(good) == "");
  std::string upper = good;
  upper[13] = 'W';
  CHECK(why(upper) == "");
  CHECK(why(dns_answer(sent, '\x81', '\x82')) == "SERVFAIL");
  CHECK(why(dns_answer(sent, '\x81', '\x85')) == "REFUSED");
  CHECK(why(dns_answer(sent, '\x81', '\x8b')) == "RCODE 11");
  CHECK(why(sent) == "that is no answer");
  CHECK(why(dns_answer(sent, '\xa1', '\x80')) == "that is no answer");  // opcode 4
  std::string other = good;
  other[0] ^= 1;
  CHECK(why(other) == "the answer has another query's ID");
  other = good;
  other[14] = 'x';
  CHECK(why(other) == "the answer is to another query");
  other = good;
  other[5] = 2;
  CHECK(why(other) == "the answer is to another query");
  for (std::size_t size = 0; size < good.size() - 16; ++size)
    CHECK(why(good.substr(0, size)) != "");
}

TEST_CASE("quic: a long header of a reserved version, 1,200 octets") {
  const std::string sent = datagram_of({.type = CheckType::quic}, random_bits);
  CHECK(sent.size() == 1200);
  CHECK(
      sent.substr(0, 24) ==
      "\xc0\x5a\x6a\x7a\x8a\x08\xff\x22\x33\x44\x55\x66\x77\x88\x08\xee\xdd\xcc\xbb\xaa\x99\x88\x77\0"s);
  for (std::uint64_t n = 0; n < 1000; ++n)
    for (const int at : {1, 2, 3, 4})
      CHECK((datagram_of({.type = CheckType::quic}, n * 0x9e3779b97f4a7c15)[at] & 0xf) == 0xa);
}

TEST_CASE("quic: Version Negotiation with the connection IDs swapped is right") {
  const HealthCheck check{.type = CheckType::quic};
  const std::string sent = datagram_of(check, random_bits);
  const auto why = [&](const std::string& answer) { return wrong_answer(check, sent, answer); };
  const std::string good = negotiation(sent, "\0\0\0\1\x6b\x33\x43\xcf"s);
  CHECK(why(good) == "");
  CHECK(why(sent) == "the answer is no Version Negotiation packet");
  CHECK(why("\x40" + good.substr(1)) == "the answer is no Version Negotiation packet");
  CHECK(why(negotiation(sent, "")) == "the list of versions is cut off");
  CHECK(why(good + "\1") == "the list of versions is cut off");
  CHECK(why(negotiation(sent, "\0\0\0\1"s + sent.substr(1, 4))) ==
        "the server claims to speak any version");
  // As they were sent, not swapped.
  std::string same = "\xca\0\0\0\0"s + sent.substr(5, 18) + "\0\0\0\1"s;
  CHECK(why(same) == "the Version Negotiation packet has other connection IDs");
  for (const std::size_t at : {6, 15}) {  // in either of them
    std::string other = good;
    other[at] ^= 1;
    CHECK(why(other) == "the Version Negotiation packet has other connection IDs");
  }
  for (std::size_t size = 0; size < good.size() - 8; ++size)
    CHECK(why(good.substr(0, size)) != "");
}

TEST_CASE("udp: the answer begins as it should; any will do where none is asked for") {
  HealthCheck check{.type = CheckType::udp, .datagram = {"ping", "po"}};
  CHECK(datagram_of(check, 1) == "ping");
  CHECK(wrong_answer(check, "ping", "pong") == "");
  CHECK(wrong_answer(check, "ping", "p") == "another answer");
  check.datagram.expect.reset();
  CHECK(wrong_answer(check, "ping", "x") == "");
}
