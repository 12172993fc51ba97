// Real packets through the table: a client, a director and a real server on one segment, as in a
// one-armed installation. What arrives is read at the server's device.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "lbctl/kernel/facts.hpp"
#include "lbctl/kernel/nft.hpp"
#include "namespace.hpp"
#include "nft_packets.hpp"
#include "rtnl_capture.hpp"

namespace {

using namespace lbctl;
using namespace lbctl::tests;

constexpr const char* client_mac = "02:00:00:00:00:01";
constexpr const char* director_mac = "02:00:00:00:00:02";
constexpr const char* server_mac = "02:00:00:00:00:03";

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

/// What differs between the families.
struct FamilyCase {
  const char* client;
  const char* guarded;  ///< join_only
  const char* open;     ///< not join_only
};
constexpr FamilyCase v4{"192.0.2.200", "192.0.2.111", "192.0.2.112"};
constexpr FamilyCase v6{"2001:db8::200", "2001:db8::111", "2001:db8::112"};

/// With a port for each server; IPv4 only.
constexpr const char* vip = "192.0.2.100";

constexpr const char *mptcp_only = "192.0.2.113", *limited = "2001:db8::113";

/// TCP to a port of the VIP.
Packet to_port(std::uint16_t port, int flags, const Frame& options = {}) {
  Packet out = Packet::tcp(ip(v4.client), ip(vip), flags, options);
  out.payload.at(2) = static_cast<std::uint8_t>(port >> 8);
  out.payload.at(3) = static_cast<std::uint8_t>(port & 0xff);
  return out;
}

/// An ICMP message that quotes a packet from that port of the VIP to the client.
Packet error_about(std::uint16_t port, std::uint8_t type, std::uint8_t quoted_protocol = 6) {
  Packet quoted = Packet::tcp(ip(vip), ip(v4.client), tcp_ack);
  quoted.protocol = quoted_protocol;
  quoted.payload.at(0) = static_cast<std::uint8_t>(port >> 8);
  quoted.payload.at(1) = static_cast<std::uint8_t>(port & 0xff);
  Frame inside = quoted.frame(client_mac, client_mac);
  Packet out = Packet::icmp(ip("192.0.2.1"), ip(vip), type);
  out.payload.resize(8);
  out.payload.insert(out.payload.end(), inside.begin() + 14, inside.begin() + 14 + 28);
  return out;
}

/// Three nodes on a bridge; the table on the director, made by our code.
struct Segment {
  Namespace bridge, client, director, server;
  std::unique_ptr<Capture> sender, receiver;

  Segment() {
    {
      const Inside inside(bridge);
      run("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
    }
    join(client, client_mac, "200");
    join(director, director_mac, "10");
    join(server, server_mac, "11");
    make_table();
    const Inside inside_client(client);
    sender = std::make_unique<Capture>("eth0");
    const Inside inside_server(server);
    receiver = std::make_unique<Capture>("eth0");
  }

  void join(const Namespace& node, const std::string& mac, const std::string& host) {
    const Inside inside(node);
    run("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0");
    run("ip link add eth0 address " + mac + " type veth peer name p" + host + " netns " +
        bridge.path() + " && ip link set eth0 up");
    {
      const Inside at_bridge(bridge);
      run("ip link set p" + host + " master br0 up");
    }
    run("ip addr add 192.0.2." + host + "/24 dev eth0; ip addr add 2001:db8::" + host +
        "/64 dev eth0 nodad");
    run("for i in $(seq 250); do ip link show eth0 | grep -q 'state UP' && exit; sleep 0.02; done; "
        "false");
  }

  void make_table() {
    const Inside inside(director);
    // As lbctl places them: the director answers ARP and NDP for the signal addresses.
    run("ip addr add 192.0.2.111/32 dev lo; ip addr add 2001:db8::111/128 dev eth0 nodad");
    model::SignalForward forward{.client_devices = {"eth0"}, .server_device = "eth0"};
    for (const auto& [family, home] : {std::pair{v4, "192.0.2.11"}, {v6, "2001:db8::11"}}) {
      forward.addresses[{ip(family.guarded)}] = {.server = ip(home), .join_only = true};
      forward.addresses[{ip(family.open)}] = {.server = ip(home), .join_only = false};
    }
    for (const auto& [port, guarded] :
         {std::pair{44301, true}, {44302, false}, {44303, false}, {44304, false}})
      forward.addresses[{ip(vip), model::Port{static_cast<std::uint16_t>(port)}}] = {
          .server = ip("192.0.2.11"), .join_only = guarded};
    forward.addresses[{ip(mptcp_only)}] = {ip("192.0.2.11"), false};
    forward.addresses[{ip(limited)}] = {ip("2001:db8::11"), false};
    forward.mptcp_only = {{ip(vip), model::Port{44303}}, {ip(mptcp_only), model::Port{443}}};
    // The next one comes in 20 minutes.
    const model::Rate three{3, model::RateUnit::hour, 3};
    forward.limits["syn4_test"] = {three, 32, {{ip(vip), model::Port{44304}}}};
    forward.limits["syn6_test"] = {three, 64, {{ip(limited), model::Port{443}}}};
    const std::array operations{
        model::Operation{.phase = model::Phase::add_nft,
                         .action = model::CreateForward{.forward = forward, .replaces = false},
                         .why = model::Reason::not_in_kernel}};
    const auto outcome = kernel::open_nft().value()->execute(operations);
    REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
  }

  /// The packet as the server gets it from the director; nothing if it does not come. A second
  /// packet that is forwarded for certain follows, so that nobody waits for what never comes.
  std::optional<Frame> through(const Packet& packet, const char* to_mac = director_mac) {
    const bool is_v4 = packet.to.is_v4();
    const FamilyCase& family = is_v4 ? v4 : v6;
    Packet marker = Packet::tcp(ip(family.client), ip(family.open), tcp_ack);
    marker.mark = ++marks_;
    Packet probe = packet;
    probe.mark = ++marks_;
    sender->send(probe.frame(to_mac, client_mac));
    sender->send(marker.frame(director_mac, client_mac));
    std::optional<Frame> seen;
    const bool done = receiver
                          ->next([&](const Frame& frame) {
                            if (!is_from_to(frame, director_mac, server_mac)) return false;
                            if (mark_of(frame) == probe.mark) seen = frame;
                            return mark_of(frame) == marker.mark;
                          })
                          .has_value();
    REQUIRE_MESSAGE(done, "the packet that is always forwarded did not arrive");
    return seen;
  }

 private:
  std::uint16_t marks_ = 1000;
};

}  // namespace

TEST_CASE("traffic: joins come home with one hop less, other SYNs to a join-only address do not") {
  Segment segment;
  for (const FamilyCase& family : {v4, v6}) {
    CAPTURE(family.guarded);
    const auto from = ip(family.client), guarded = ip(family.guarded), open = ip(family.open);
    const Packet join = Packet::tcp(from, guarded, tcp_syn, mp_join);
    // The first packet also finds the neighbour cold: the kernel resolves it and sends it on.
    const auto home = segment.through(join);
    REQUIRE(home);
    CHECK(hop_limit_of(*home) == join.hop_limit - 1);
    CHECK(ip_header_sum_is_right(*home));
    CHECK(!segment.through(Packet::tcp(from, guarded, tcp_syn)));
    CHECK(!segment.through(Packet::tcp(from, guarded, tcp_syn, mp_capable)));
    CHECK(segment.through(Packet::tcp(from, guarded, tcp_ack)));
    CHECK(segment.through(Packet::tcp(from, guarded, tcp_syn | tcp_ack)));
    CHECK(segment.through(Packet::tcp(from, open, tcp_syn)));
    CHECK(segment.through(Packet::tcp(from, open, tcp_syn, mp_capable)));
  }
}

TEST_CASE("traffic: ports of a VIP come home, guarded or not, and nothing else of the VIP") {
  Segment segment;
  const auto home = segment.through(to_port(44301, tcp_syn, mp_join));
  REQUIRE(home);
  CHECK(ip_header_sum_is_right(*home));
  CHECK(!segment.through(to_port(44301, tcp_syn)));
  CHECK(!segment.through(to_port(44301, tcp_syn, mp_capable)));
  CHECK(segment.through(to_port(44301, tcp_ack)));
  CHECK(segment.through(to_port(44302, tcp_syn)));
  CHECK(!segment.through(to_port(443, tcp_syn)));
  CHECK(!segment.through(to_port(44305, tcp_syn, mp_join)));
  CHECK(!segment.through(Packet::udp(ip(v4.client), ip(vip))));
  Packet piece = to_port(44302, tcp_ack);
  piece.fragment_offset = 64;
  CHECK(!segment.through(piece));
}

TEST_CASE("traffic: a port for MPTCP only takes connections with MPTCP, and every other packet") {
  Segment segment;
  CHECK(!segment.through(to_port(44303, tcp_syn)));
  CHECK(segment.through(to_port(44303, tcp_syn, mp_capable)));
  CHECK(segment.through(to_port(44303, tcp_ack)));
  // No way around it by fragments.
  Packet piece = Packet::tcp(ip(v4.client), ip(mptcp_only), tcp_ack);
  piece.fragment_offset = 8;
  CHECK(!segment.through(piece));
  piece.fragment_offset = 64;
  CHECK(segment.through(piece));
}

TEST_CASE("traffic: a source above its rate loses SYNs, others and what is no SYN do not") {
  Segment segment;
  for (int n = 0; n < 3; ++n)
    CHECK(segment.through(to_port(44304, tcp_syn)));
  CHECK(!segment.through(to_port(44304, tcp_syn)));
  CHECK(segment.through(to_port(44304, tcp_ack)));
  CHECK(segment.through(to_port(44302, tcp_syn)));
  Packet other = to_port(44304, tcp_syn);
  other.from = ip("192.0.2.201");
  CHECK(segment.through(other));
}

TEST_CASE("traffic: what rules count is told by kind") {
  Segment segment;
  const auto counted = [&] {
    const Inside inside(segment.director);
    model::Scope scope;
    scope.nft = true;
    model::Observed seen;
    REQUIRE(kernel::open_nft().value()->observe(scope, seen));
    REQUIRE(seen.signal_counters);
    return *seen.signal_counters;
  };
  const model::SignalCounters fresh = counted();
  CHECK(fresh.not_joins + fresh.not_mptcp + fresh.over_rate + fresh.fragments == 0);
  CHECK(fresh.brought_home.at({ip(v4.open)}) == 0);
  // With each of these comes one that is always brought home.
  segment.through(Packet::tcp(ip(v4.client), ip(v4.guarded), tcp_syn));
  segment.through(Packet::tcp(ip(v6.client), ip(v6.guarded), tcp_syn));
  segment.through(to_port(44301, tcp_syn));
  segment.through(to_port(44303, tcp_syn));
  Packet piece = Packet::tcp(ip(v4.client), ip(v4.guarded), tcp_ack);
  piece.fragment_offset = 8;
  segment.through(piece);
  for (int n = 0; n < 5; ++n)
    segment.through(to_port(44304, tcp_syn));
  const model::SignalCounters after = counted();
  CHECK(after.not_joins == 3);
  CHECK(after.not_mptcp == 1);
  CHECK(after.over_rate == 2);
  CHECK(after.fragments == 1);
  CHECK(after.brought_home.at({ip(v4.open)}) == 9);
  CHECK(after.brought_home.at({ip(v6.open)}) == 1);
  CHECK(after.brought_home.at({ip(vip), model::Port{44304}}) == 3);
  CHECK(after.brought_home.at({ip(v4.guarded)}) == 0);
  CHECK(after.brought_home.size() == fresh.brought_home.size());
}

TEST_CASE("traffic: of very many sources so many are known and no more; the rest passes") {
  Segment segment;
  constexpr std::uint32_t sources = 70'000;
  Packet packet = to_port(44304, tcp_syn);
  for (std::uint32_t n = 0; n < sources; ++n) {
    packet.from = ip(fmt::format("10.1{}.{}.{}", n / 65536, n / 256 % 256, n % 256).c_str());
    segment.sender->send(packet.frame(director_mac, client_mac));
  }
  const auto known = [&] {
    const Inside inside(segment.director);
    return std::stoul(run("nft list set netdev lbctl syn4_test | grep -o 'limit rate' | wc -l"));
  };
  CHECK(known() <= 65535);
  CHECK(known() > 60'000);
  {
    // What the old one has not yet read is the flood.
    const Inside inside(segment.server);
    segment.receiver = std::make_unique<Capture>("eth0");
  }
  packet.from = ip("10.200.0.1");
  for (int n = 0; n < 5; ++n)
    CHECK(segment.through(packet));
  CHECK(segment.through(Packet::tcp(ip(v4.client), ip(v4.guarded), tcp_syn, mp_join)));
}

TEST_CASE("traffic: IPv6 sources of one /64 are one") {
  Segment segment;
  const auto from = [&](const std::string& source) {
    return segment.through(Packet::tcp(ip(source.c_str()), ip(limited), tcp_syn)).has_value();
  };
  CHECK(from("2001:db8:7::1"));
  CHECK(from("2001:db8:7::2"));
  CHECK(from("2001:db8:7::3"));
  CHECK(!from("2001:db8:7::4"));
  CHECK(from("2001:db8:7:1::4"));
}

TEST_CASE("traffic: ICMP errors about a server's port of the VIP go to that server") {
  Segment segment;
  for (const std::uint8_t type : std::array<std::uint8_t, 3>{3, 11, 12}) {
    CAPTURE(type);
    CHECK(segment.through(error_about(44301, type)));
    CHECK(!segment.through(error_about(443, type)));
    CHECK(!segment.through(error_about(44301, type, 17)));
  }
  CHECK(!segment.through(error_about(44301, 5)));
  CHECK(!segment.through(Packet::icmp(ip(v4.client), ip(vip), 8)));
}

TEST_CASE("traffic: only TCP, ICMP errors and echo are forwarded") {
  Segment segment;
  for (const FamilyCase& family : {v4, v6}) {
    CAPTURE(family.guarded);
    const auto from = ip(family.client), guarded = ip(family.guarded);
    const bool is_v4 = from.is_v4();
    const std::vector<std::uint8_t> yes = is_v4 ? std::vector<std::uint8_t>{0, 3, 8, 11, 12}
                                                // 3: also "fragmentation needed"
                                                : std::vector<std::uint8_t>{1, 2, 3, 4, 128, 129};
    const std::vector<std::uint8_t> no =
        is_v4 ? std::vector<std::uint8_t>{4, 5, 13}
              : std::vector<std::uint8_t>{130, 133, 134, 135, 136, 137};  // 133..137: NDP
    for (const std::uint8_t type : yes) {
      CAPTURE(type);
      CHECK(segment.through(Packet::icmp(from, guarded, type)));
    }
    for (const std::uint8_t type : no) {
      CAPTURE(type);
      CHECK(!segment.through(Packet::icmp(from, guarded, type)));
    }
    CHECK(!segment.through(Packet::udp(from, guarded)));
    CHECK(!segment.through(Packet::tcp(from, ip(is_v4 ? "192.0.2.10" : "2001:db8::10"), tcp_ack)));
  }
}

TEST_CASE("traffic: a packet that circles ends, and frames for others are left alone") {
  Segment segment;
  {
    const Inside inside(segment.director);
    run("ip link set eth0 promisc on");
  }
  for (const FamilyCase& family : {v4, v6}) {
    CAPTURE(family.open);
    Packet packet = Packet::tcp(ip(family.client), ip(family.open), tcp_ack);
    CHECK(!segment.through(packet, "02:00:00:00:00:99"));
    CHECK(segment.through(packet));
    packet.hop_limit = 2;
    CHECK(segment.through(packet));
    packet.hop_limit = 1;
    CHECK(!segment.through(packet));
  }
}

TEST_CASE("traffic: fragments take the same way, unless they could hide a SYN from the guard") {
  Segment segment;
  for (const FamilyCase& family : {v4, v6}) {
    CAPTURE(family.guarded);
    for (const std::uint16_t offset : std::array<std::uint16_t, 4>{8, 16, 32, 56}) {
      CAPTURE(offset);
      Packet piece = Packet::tcp(ip(family.client), ip(family.guarded), tcp_ack);
      piece.fragment_offset = offset;
      CHECK(!segment.through(piece));
      piece.to = ip(family.open);
      CHECK(segment.through(piece));
    }
    for (const std::uint16_t offset : std::array<std::uint16_t, 3>{64, 1480, 32768}) {
      CAPTURE(offset);
      Packet piece = Packet::tcp(ip(family.client), ip(family.guarded), tcp_ack);
      piece.fragment_offset = offset;
      CHECK(segment.through(piece));
    }
  }
}

TEST_CASE("traffic: the director still answers ARP and NDP for a signal address") {
  Segment segment;
  const Inside inside(segment.client);
  const auto found =
      kernel::resolve_neighbours("eth0", {ip(v4.guarded), ip(v6.guarded)}, std::chrono::seconds(5));
  REQUIRE(found.has_value());
  REQUIRE(found->size() == 2);
  for (const auto& [address, mac] : *found)
    CHECK(mac.text() == director_mac);
}
