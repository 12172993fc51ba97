#include "quic_cid.hpp"

#include <doctest/doctest.h>

using namespace std::string_literals;
using namespace lbctl;
using namespace lbctl::daemon;

namespace {

/// An Initial of version 1: its destination is empty, as the client's connection ID is.
std::string initial(const std::string& scid, const std::string& version = "\0\0\0\1"s,
                    char first = '\xc0') {
  return first + version + "\0"s + static_cast<char>(scid.size()) + scid + "\0\x41\x00"s;
}

ProbeSpec::CidSlot slot(std::uint8_t config, std::uint64_t id) {
  return {{{.config = config, .id_length = 2, .nonce_length = 6}, ""}, {.low = id}};
}

const std::string cid = "\x08\x00\x02nonce!"s;

}  // namespace

TEST_CASE("quic cid: the source of a long header that carries a handshake") {
  CHECK(issued_cid(initial(cid)) == cid);
  CHECK(issued_cid(initial(cid, "\0\0\0\1"s, '\xe0')) == cid);  // Handshake
  CHECK(issued_cid(initial("")) == "");
  CHECK(!issued_cid(initial(cid, "\0\0\0\1"s, '\xf0')));  // Retry
  CHECK(!issued_cid(initial(cid, "\0\0\0\0"s)));          // Version Negotiation
  CHECK(!issued_cid(initial(cid, "\0\0\0\1"s, '\x40')));  // a short header
  CHECK(!issued_cid(initial(std::string(21, 'x'))));
  const std::string whole = initial(cid);
  for (std::size_t size = 0; size < 7 + cid.size(); ++size)
    CHECK(!issued_cid(whole.substr(0, size)));
}

TEST_CASE("quic cid: the first layout that fits must name the server") {
  const std::vector<ProbeSpec::CidSlot> second{slot(0, 2)};
  CHECK(wrong_cid(second, cid) == "");
  CHECK(wrong_cid(std::vector{slot(0, 3)}, cid) ==
        "its connection ID 0800026e6f6e636521 names server 2, not 3");
  CHECK(wrong_cid(std::vector{slot(1, 2)}, cid) ==
        "its connection ID 0800026e6f6e636521 has no layout of the service");
  CHECK(wrong_cid(std::vector{slot(1, 2), slot(0, 2)}, cid) == "");
  CHECK(wrong_cid(second, "") == "its empty connection ID has no layout of the service");
  CHECK(wrong_cid(second, cid.substr(0, 8)) ==
        "its connection ID 0800026e6f6e6365 has no layout of the service");
}

TEST_CASE("quic cid: encrypted ones are read with their key") {
  // The first of quic-lb-vectors.toml.
  ProbeSpec::CidSlot own{{{.config = 0, .id_length = 3, .nonce_length = 4, .encrypted = true}, "k"},
                         {.low = 0xed793a}};
  own.cid.scheme.key = model::CidKey({0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80, 0x25, 0x69,
                                      0x34, 0xe5, 0x0c, 0x66, 0x20, 0x7f});
  const std::string encrypted = "\x07\x20\xb1\xd0\x7b\x35\x9d\x3c"s;
  CHECK(wrong_cid(std::vector{own}, encrypted) == "");
  own.id.low = 1;
  CHECK(wrong_cid(std::vector{own}, encrypted) ==
        "its connection ID 0720b1d07b359d3c names server 15563066, not 1");
}
