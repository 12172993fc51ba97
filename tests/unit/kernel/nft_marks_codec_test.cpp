// The table of firewall marks: what is sent and what is made of what comes back.
#include <doctest/doctest.h>
#include <libmnl/libmnl.h>

#include "nft/batch.hpp"
#include "nft/decode.hpp"
#include "nft/mark_table.hpp"

namespace {

using namespace lbctl;
using namespace lbctl::model;
using kernel::nft::Batch;
using kernel::nft::Dump;

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

Marks example() {
  return {{{ip("192.0.2.100"), L4::tcp, {Port{443}, Port{443}}}, 7},
          {{ip("192.0.2.101"), L4::udp, all_ports}, 8},
          {{ip("2001:db8::100"), L4::udp, {Port{8000}, Port{8100}}}, 0xfffffffe}};
}

/// The messages of a transaction that makes the table, as the kernel would list its parts.
std::vector<std::vector<std::uint8_t>> created() {
  Batch batch(1);
  batch.create(0, CreateMarks{chains_for(example())});
  for (const auto& [key, mark] : example())
    batch.set_mark(0, {key, {}, mark});
  std::vector<std::vector<std::uint8_t>> out;
  auto octets = batch.finish();
  while (!octets.empty()) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(octets.data());
    const std::size_t length = MNL_ALIGN(message->nlmsg_len);
    out.emplace_back(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(length));
    octets = octets.subspan(length);
  }
  return out;
}

const nlmsghdr& header(const std::vector<std::uint8_t>& message) {
  return *reinterpret_cast<const nlmsghdr*>(message.data());
}

Dump dumped() {
  Dump dump;
  for (const auto& message : created())
    take_message(header(message), dump);
  // The request does not say how much is in the table, the kernel's answer does.
  dump.marks.text.set_head(0, 5);
  return dump;
}

NftState decoded(const Dump& dump) {
  return decode(
             dump, [](std::uint32_t) { return std::nullopt; },
             [](const std::string&) { return true; })
      .state;
}

}  // namespace

TEST_CASE("nft marks: what is sent is understood as the same marks, intact") {
  NftState expected;
  expected.marks = example();
  CHECK(decoded(dumped()) == expected);
}

TEST_CASE("nft marks: the table in libnftnl's words") {
  const auto text = make_text(kernel::nft::make_mark_table({.marking = true}), {}).text();
  CHECK(
      text.starts_with("table flags 0 objects 5\n"
                       "set mark_tcp4 key 461 of 8 data 19 of 4 flags 140 timeout 0\n"));
  CHECK(text.ends_with(
      "chain marking type filter hook 0 priority -150 policy 1\n"
      "  [ meta load nfproto => reg 1 ] [ cmp eq reg 1 0x00000002 ] [ meta load l4proto => reg 1 ] "
      "[ cmp eq reg 1 0x00000006 ] [ payload load 4b @ network header + 16 => reg 1 ] "
      "[ payload load 2b @ transport header + 2 => reg 9 ] [ lookup reg 1 set mark_tcp4 dreg 1 0x0 "
      "] "
      "[ meta set mark with reg 1 ]\n"
      "  [ meta load nfproto => reg 1 ] [ cmp eq reg 1 0x00000002 ] [ meta load l4proto => reg 1 ] "
      "[ cmp eq reg 1 0x00000011 ] [ payload load 4b @ network header + 16 => reg 1 ] "
      "[ payload load 2b @ transport header + 2 => reg 9 ] [ lookup reg 1 set mark_udp4 dreg 1 0x0 "
      "] "
      "[ meta set mark with reg 1 ]\n"
      "  [ meta load nfproto => reg 1 ] [ cmp eq reg 1 0x0000000a ] [ meta load l4proto => reg 1 ] "
      "[ cmp eq reg 1 0x00000006 ] [ payload load 16b @ network header + 24 => reg 1 ] "
      "[ payload load 2b @ transport header + 2 => reg 2 ] [ lookup reg 1 set mark_tcp6 dreg 1 0x0 "
      "] "
      "[ meta set mark with reg 1 ]\n"
      "  [ meta load nfproto => reg 1 ] [ cmp eq reg 1 0x0000000a ] [ meta load l4proto => reg 1 ] "
      "[ cmp eq reg 1 0x00000011 ] [ payload load 16b @ network header + 24 => reg 1 ] "
      "[ payload load 2b @ transport header + 2 => reg 2 ] [ lookup reg 1 set mark_udp6 dreg 1 0x0 "
      "] "
      "[ meta set mark with reg 1 ]\n"));
}

TEST_CASE("nft marks: any departure is not intact") {
  const Dump good = dumped();
  Dump dump = good;
  std::swap(dump.marks.text.rules["marking"][0], dump.marks.text.rules["marking"][1]);
  CHECK(!decoded(dump).marks_intact);
  dump = good;
  dump.marks.text.elements["mark_tcp4"].begin()->second.pop_back();
  CHECK(!decoded(dump).marks_intact);
  dump = good;
  dump.marks.text.elements["mark_tcp4"][{192, 0, 2, 1, 0, 80, 0, 0}] = {7, 0, 0, 0};
  CHECK(!decoded(dump).marks_intact);
  dump = good;
  dump.marks.text.elements["mark_tcp4"][{192, 0, 2, 1, 0, 80, 0, 0, 192, 0, 2, 9, 0, 80, 0, 0}] = {
      7, 0, 0, 0};
  CHECK(!decoded(dump).marks_intact);
}

TEST_CASE("nft marks: messages cut off anywhere, or with any octet spoilt, are read without harm") {
  for (const auto& message : created()) {
    for (std::uint32_t cut = NLMSG_HDRLEN; cut <= header(message).nlmsg_len; ++cut) {
      std::vector<std::uint8_t> piece(message.begin(), message.begin() + cut);
      piece.push_back(0);
      reinterpret_cast<nlmsghdr*>(piece.data())->nlmsg_len = cut;
      Dump dump;
      take_message(header(piece), dump);
      CHECK(decoded(dump).marks_intact == !dump.marks.present);
    }
    for (std::size_t at = NLMSG_HDRLEN; at < header(message).nlmsg_len; ++at) {
      auto spoilt = message;
      spoilt[at] ^= 0xff;
      Dump dump;
      take_message(header(spoilt), dump);
      (void)decoded(dump);
    }
  }
}
