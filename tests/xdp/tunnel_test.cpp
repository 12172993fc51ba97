// Peers beyond a router: what is put into a tunnel, and what comes out of one.
#include "server.hpp"

namespace lbctl::tests {

namespace {

const auto next_hop = mac("02:00:00:00:00:99");
const Bytes far_cid = hex("080005aabbccddeeff");

struct Ends {
  const char* own;
  const char* far;
};
constexpr Ends ends[] = {{"192.0.2.11", "198.51.100.3"}, {"2001:db8:100::11", "2001:db8:3::3"}};

struct Far : Table {
  explicit Far(const Ends& tunnel, std::uint32_t mtu = 1500)
      : own(ip(tunnel.own)), far(ip(tunnel.far)) {
    REQUIRE(tables().set_server(ServerId{5}, {false, next_hop, model::SteerTunnel{own, far, mtu}}));
  }
  kernel::xdp::Tables& tables() { return steering.tables(); }

  void tunnels(Frame frame) {
    const Answer answer = steering.run(frame.bytes());
    CHECK(answer.verdict == "TX");
    frame.to = next_hop;
    frame.from = self;
    --frame.ttl;
    CHECK(answer.bytes == wrapped(frame, own, far));
    CHECK(answer.counted == XdpCounters{.steered = 1});
  }
  void unwraps(const Frame& frame) {
    const Answer answer = steering.run(wrapped(frame, far, own));
    CHECK(answer.verdict == "PASS");
    CHECK(answer.bytes == frame.bytes());
    CHECK(answer.counted == XdpCounters{.unwrapped = 1});
  }
  void stays(const Bytes& packet) {
    const Answer answer = steering.run(packet);
    CHECK(answer.verdict == "PASS");
    CHECK(answer.bytes == packet);
    CHECK(answer.counted == XdpCounters{});
  }

  model::IpAddress own, far;
};

/// Every combination of inner and outer family and of 0 to 2 tags.
void each_way(auto&& check) {
  for (const Ends& tunnel : ends)
    for (const int version : {4, 6})
      for (const std::size_t tags : {0u, 1u, 2u}) {
        CAPTURE(tunnel.own);
        CAPTURE(version);
        CAPTURE(tags);
        Frame frame = with(version, short_packet(far_cid));
        for (std::size_t i = 0; i < tags; ++i)
          frame.tags.push_back(i == 0 ? 0x88a8 : 0x8100);
        check(tunnel, frame);
      }
}

}  // namespace

TEST_CASE("tunnel: packets for a far peer are put into IP, and addressed to the next hop") {
  each_way([](const Ends& tunnel, Frame frame) {
    Far node(tunnel);
    node.tunnels(frame);
    frame.payload = long_packet(far_cid);
    node.tunnels(frame);
    if (frame.source.is_v4()) frame.options = Bytes(12, 1);
    node.tunnels(frame);
    CHECK(node.tables().figures().servers.at(ServerId{5}) == 3);
  });
}

TEST_CASE("tunnel: what a far peer sends for a steered VIP is taken out, and not steered again") {
  each_way([](const Ends& tunnel, Frame frame) {
    Far node(tunnel);
    node.unwraps(frame);  // its connection ID names the far peer itself
    frame.payload = short_packet(local_cid);
    node.unwraps(frame);
    frame.payload = {};
    node.unwraps(frame);
  });
}

TEST_CASE("tunnel: what comes from elsewhere, for another VIP or another station, stays wrapped") {
  each_way([](const Ends& tunnel, Frame frame) {
    Far node(tunnel);
    node.stays(wrapped(frame, node.own, node.far));  // not a peer's address
    Frame other = frame;
    other.port = 444;
    node.stays(wrapped(other, node.far, node.own));
    other = frame;
    other.to = mac("02:00:00:00:00:33");
    node.stays(wrapped(other, node.far, node.own));
    Bytes cut = wrapped(frame, node.far, node.own);
    cut.resize(cut.size() - frame.payload.size() - 1);
    node.stays(cut);
  });
}

TEST_CASE("tunnel: a packet that does not fit with the outer header is passed and counted") {
  for (const Ends& tunnel : ends)
    for (const int version : {4, 6}) {
      const std::size_t headers = (version == 4 ? 20u : 40u) + 8,
                        outer = tunnel.own[3] == '.' ? 20 : 40;
      Far node(tunnel, 1000);
      Frame frame = with(version, short_packet(far_cid, 1000 - outer - headers - 10));
      node.tunnels(frame);
      frame.payload.push_back(0);
      node.passes(frame, {.too_big = 1});
    }
}

TEST_CASE("tunnel: no next hop: passed and counted; the last hop: dropped") {
  Far node(ends[0]);
  Frame frame = with(4, short_packet(far_cid));
  frame.ttl = 1;
  node.drops(frame, {.ttl_expired = 1});
  frame.ttl = 64;
  REQUIRE(node.tables().set_server(ServerId{5},
                                   {false, {}, model::SteerTunnel{node.own, node.far, 1500}}));
  node.passes(frame, {.unresolved = 1});
  node.unwraps(frame);  // the way back needs none
}

TEST_CASE("tunnel: an address is a sender's as long as one server has it; all is read back") {
  Far node(ends[1]);
  auto& tables = node.tables();
  const model::SteerTarget target{false, next_hop, model::SteerTunnel{node.own, node.far, 1500}};
  REQUIRE(tables.set_server(ServerId{6}, target));
  REQUIRE(tables.set_server(ServerId{5}, {.local = false, .mac = peer}));
  node.unwraps(with(4, short_packet(local_cid)));
  model::XdpState state;
  REQUIRE(tables.read(state));
  CHECK(state.servers.at(ServerId{6}) == target);
  CHECK(tables.remove_server(ServerId{6}));
  node.stays(wrapped(with(4, short_packet(local_cid)), node.far, node.own));
  CHECK_FALSE(tables.set_server(
      ServerId{6}, {false, next_hop, model::SteerTunnel{node.own, ip("192.0.2.1"), 1500}}));
  for (std::size_t i = 0; i < 3 * QS_TUNNEL_ROWS; ++i)  // rows are handed out in turn
    REQUIRE(tables.set_server(ServerId{5}, target));
}

}  // namespace lbctl::tests
