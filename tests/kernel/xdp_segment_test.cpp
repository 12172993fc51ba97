// Two real servers on one segment, each with the VIP, the program and a UDP socket: a datagram that
// the director gave to the wrong one reaches the socket of the one that its connection ID names.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "xdp_wire.hpp"

namespace lbctl::tests {

namespace {

using model::AttachXdp;
using model::CidScheme;
using model::Port;
using model::ServerId;
using model::SetSteeredService;
using model::SetSteerTarget;
using model::XdpAttachment;
using model::XdpMode;

constexpr const char* vip4 = "192.0.2.100";
constexpr const char* vip6 = "2001:db8:100::100";

Fd listen_on(const char* vip) {
  const auto address = ip(vip);
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  Fd fd(socket(family, SOCK_DGRAM, 0));
  int done = -1;
  if (address.is_v4()) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(443);
    std::memcpy(&name.sin_addr, address.octets().data(), 4);
    done = bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  } else {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(443);
    std::memcpy(&name.sin6_addr, address.octets().data(), 16);
    done = bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  REQUIRE(done == 0);
  return fd;
}

/// The next datagram; empty if none comes for a while.
Bytes datagram(const Fd& socket) {
  pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
  if (poll(&wait, 1, 3000) <= 0) return {};
  Bytes out(2048);
  const ssize_t got = recv(socket.get(), out.data(), out.size(), 0);
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return out;
}

struct Server {
  /// `plug`: what brings its port, the device outside, into the segment.
  Server(const Namespace& segment, int number, const std::string& plug = " master br0 up")
      : address("02:00:00:00:00:0" + std::to_string(number)), id(number) {
    const Inside inside(place);
    const std::string port = "port" + std::to_string(number);
    run("ip link add eth0 address " + address + " type veth peer name " + port + " netns " +
        segment.path() + " && ip link set eth0 up && ip address add " + vip4 +
        "/32 dev lo && ip address add " + vip6 + "/128 dev lo nodad");
    // Answers to the client have nowhere to go here, and that is no reason to drop its packets.
    run("ip route add default dev eth0 && ip -6 route add default dev eth0");
    socket4 = listen_on(vip4);
    socket6 = listen_on(vip6);
    const Inside there(segment);
    run("ip link set " + port + plug);
  }

  /// Knows itself as local and the other by its address.
  void steer(const Server& other) { steer(other, {.local = false, .mac = mac(other.address)}); }

  void steer(const Server& other, const model::SteerTarget& target) {
    const Inside inside(place);
    backend = kernel::open_xdp({fresh_pin_dir()});
    const XdpAttachment wanted{.mode = XdpMode::automatic, .program = kernel::program_digest()};
    const auto server_id = [](const Server& server) {
      return ServerId{static_cast<std::uint64_t>(server.id)};
    };
    carry_out(*backend,
              {SetSteeredService{{ip(vip4), Port{443}}, {}, {{CidScheme{}}}},
               SetSteeredService{{ip(vip6), Port{443}}, {}, {{CidScheme{}}}},
               SetSteerTarget{server_id(*this), {}, {.local = true, .mac = {}}},
               SetSteerTarget{server_id(other), {}, target}, AttachXdp{"eth0", {}, wanted}});
  }

  std::string address;
  int id;
  Namespace place;
  Fd socket4, socket6;
  std::unique_ptr<kernel::Backend> backend;
};

}  // namespace

TEST_CASE("a moved client's datagrams reach the server of their connection ID") {
  Namespace segment;
  {
    const Inside inside(segment);
    run("ip link add br0 type bridge && ip link set br0 up");
    run("ip link add director address 02:00:00:00:00:fe type veth peer name port0 && "
        "ip link set director up && ip link set port0 master br0 up");
  }
  Server one(segment, 1), two(segment, 2);
  one.steer(two);
  two.steer(one);
  const Inside inside(segment);
  const Tap director("director");
  for (const bool v6 : {false, true}) {
    CAPTURE(v6);
    Frame frame;
    if (v6) {
      frame.source = ip("2001:db8:7::7");
      frame.destination = ip(vip6);
    }
    const auto deliver = [&](const Server& server, const Bytes& payload) {
      frame.to = mac(server.address);
      frame.payload = payload;
      director.send(frame.bytes());
    };
    const Bytes for_one = short_packet(hex("080001aabbccddeeff")),
                for_two = short_packet(hex("080002aabbccddeeff")),
                initial = long_packet(hex("c0ffee0000000001"));
    const auto& socket_one = v6 ? one.socket6 : one.socket4;
    const auto& socket_two = v6 ? two.socket6 : two.socket4;
    deliver(one, for_two);
    CHECK(datagram(socket_two) == for_two);
    deliver(two, for_one);
    CHECK(datagram(socket_one) == for_one);
    deliver(one, initial);  // a client's own choice of DCID: IPVS has decided
    CHECK(datagram(socket_one) == initial);
    deliver(two, for_two);
    CHECK(datagram(socket_two) == for_two);
  }
}

namespace {

/// A router with one server on each side.
struct Routed {
  static std::string plug(int side) {
    const std::string n = std::to_string(side), port = "port" + n;
    return " address 02:00:00:00:01:0" + n + " up && ip address add 10." + n + ".0.254/24 dev " +
           port + " && ip address add fd00:" + n + "::254/64 dev " + port + " nodad";
  }
  Routed() {
    const Inside inside(router);
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    for (Server* server : {&one, &two})
      join(*server);
  }
  void join(Server& server) const {
    const std::string n = std::to_string(server.id);
    const Inside inside(server.place);
    run("ip address add 10." + n + ".0.1/24 dev eth0 && ip address add fd00:" + n +
        "::1/64 dev eth0 nodad && ip route replace default via 10." + n +
        ".0.254 && ip -6 route replace default via fd00:" + n + "::254");
  }
  /// Each steers to the other by a tunnel over this family.
  void steer(int version) {
    for (auto& [from, to] : {std::pair{&one, &two}, {&two, &one}}) {
      const auto end = [&](const Server& server) {
        const std::string n = std::to_string(server.id);
        return ip(version == 4 ? "10." + n + ".0.1" : "fd00:" + n + "::1");
      };
      from->steer(*to, {.local = false,
                        .mac = mac("02:00:00:00:01:0" + std::to_string(from->id)),
                        .tunnel = model::SteerTunnel{end(*from), end(*to), 1500}});
    }
  }

  Namespace router;
  Server one{router, 1, plug(1)}, two{router, 2, plug(2)};
};

}  // namespace

TEST_CASE("a moved client's datagrams reach a server beyond a router by a tunnel") {
  for (const int version : {4, 6}) {
    CAPTURE(version);
    Routed net;
    net.steer(version);
    const Inside inside(net.router);
    const Tap segment("port1");
    for (const bool v6 : {false, true}) {
      CAPTURE(v6);
      Frame frame;
      if (v6) {
        frame.source = ip("2001:db8:7::7");
        frame.destination = ip(vip6);
      }
      frame.to = mac(net.one.address);
      frame.payload = short_packet(hex("080002aabbccddeeff"));
      segment.send(frame.bytes());
      CHECK(datagram(v6 ? net.two.socket6 : net.two.socket4) == frame.payload);
      frame.payload = short_packet(hex("080001aabbccddeeff"));
      segment.send(frame.bytes());
      CHECK(datagram(v6 ? net.one.socket6 : net.one.socket4) == frame.payload);
    }
  }
}

}  // namespace lbctl::tests
