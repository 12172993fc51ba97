#include "lbctl/explain/flow.hpp"

#include <doctest/doctest.h>

using namespace lbctl;
using explain::Verdict;
using model::Flow;
using model::IpAddress;
using model::Port;

namespace {

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

/// A director with web, by tcp and udp, and the signal address of rs1.
struct Node {
  model::NodeState state;
  model::IpvsCounters counters;
  std::optional<model::IpvsConnection> connection;

  explicit Node(std::string scheduler) {
    for (const auto protocol : {model::L4::tcp, model::L4::udp}) {
      const model::ServiceKey key{address("192.0.2.100"), protocol, Port{443}};
      auto& service = state.ipvs[key];
      service.scheduler = scheduler;
      for (const auto* server : {"192.0.2.11", "192.0.2.12"})
        service.destinations[{address(server), Port{443}}] = {.weight = model::Weight{10}};
    }
    state.nft.forward.emplace();
    state.nft.forward->addresses[{address("192.0.2.111"), Port{}}] = {address("192.0.2.11"), true};
    state.nft.forward->mptcp_only.insert({address("192.0.2.100"), Port{443}});
  }

  explain::Explanation explain(std::string_view flow) const {
    return explain::explain_on_director(
        *Flow::parse(flow),
        {state, counters, connection, [](const auto&, const auto&) { return model::Weight{}; },
         [](const IpAddress& one) { return "<" + one.text() + ">"; }});
  }
};

std::string says(const explain::Explanation& of) {
  std::string out;
  for (const auto& step : of.steps)
    out += step.part + ": " + step.says + "\n";
  return out;
}

}  // namespace

TEST_CASE("flow: the text and back") {
  for (const auto* text : {"198.51.100.7:51000 -> 192.0.2.100:443/tcp",
                           "[2001:db8::7]:51000 -> [2001:db8::100]:443/udp"}) {
    REQUIRE(Flow::parse(text));
    CHECK(Flow::parse(text)->text() == text);
  }
  CHECK(Flow::parse("198.51.100.7:51000->192.0.2.100:443/tcp"));
  CHECK(Flow::parse(" 198.51.100.7:51000 192.0.2.100:443/tcp "));
  for (const auto* wrong :
       {"", "198.51.100.7:51000 -> 192.0.2.100:443", "198.51.100.7 -> 192.0.2.100:443/tcp",
        "198.51.100.7:51000 -> 192.0.2.100:443/sctp", "198.51.100.7:0 -> 192.0.2.100:443/tcp",
        "198.51.100.7:51000 -> [2001:db8::100]:443/udp", "2001:db8::7:51000 -> [::1]:443/udp",
        "198.51.100.7:51000 -> 192.0.2.100:65536/tcp"})
    CHECK_FALSE(Flow::parse(wrong));
}

TEST_CASE("director: a signal address goes to its server, past IPVS, if the guard lets it") {
  const auto of = Node("rr").explain("198.51.100.7:51000 -> 192.0.2.111:443/tcp");
  CHECK(of.verdict == Verdict::to_server);
  CHECK(of.server == address("192.0.2.11"));
  CHECK(says(of) ==
        "guard: a SYN passes only with MP_JOIN (join_only): no connection begins here\n"
        "signal: 192.0.2.111 is what <192.0.2.11> announces: nftables hands it on at ingress\n");
}

TEST_CASE("director: an entry of IPVS decides before any scheduler") {
  Node node("mh");
  node.connection = {{address("192.0.2.12"), Port{443}}, "ESTABLISHED", 900};
  const auto of = node.explain("198.51.100.7:51000 -> 192.0.2.100:443/udp");
  CHECK(of.server == address("192.0.2.12"));
  CHECK(says(of) ==
        "connection: IPVS has an entry: <192.0.2.12>, ESTABLISHED, forgotten in 900 s without a "
        "packet\n");
}

TEST_CASE("director: a scheduler with a memory is not guessed") {
  const auto of = Node("wlc").explain("198.51.100.7:51000 -> 192.0.2.100:443/tcp");
  CHECK(of.verdict == Verdict::depends);
  CHECK(says(of) ==
        "guard: a SYN without MPTCP is dropped (mptcp_only)\n"
        "service: tcp 192.0.2.100:443, scheduler wlc\n"
        "scheduler: wlc depends on the state of the kernel: one of\n"
        "destination: <192.0.2.11>, weight 10\n"
        "destination: <192.0.2.12>, weight 10\n");
}

TEST_CASE("director: a service with one destination leaves no choice") {
  Node node("wlc");
  for (auto& [key, service] : node.state.ipvs)
    service.destinations.erase({address("192.0.2.12"), Port{443}});
  const auto of = node.explain("198.51.100.7:51000 -> 192.0.2.100:443/udp");
  CHECK(of.server == address("192.0.2.11"));
  CHECK(of.steps.back().says == "there is one destination only: <192.0.2.11>");
}

TEST_CASE("director: what nobody serves") {
  Node node("rr");
  CHECK(node.explain("198.51.100.7:51000 -> 192.0.2.100:80/tcp").verdict == Verdict::not_here);
  node.state.addresses[{"eth0", address("192.0.2.100")}] = {};
  CHECK(node.explain("198.51.100.7:51000 -> 192.0.2.100:80/tcp").verdict == Verdict::local);
  for (auto& [key, service] : node.state.ipvs)
    for (auto& [destination, settings] : service.destinations)
      settings.weight = model::Weight{};
  CHECK(node.explain("198.51.100.7:51000 -> 192.0.2.100:443/tcp").verdict == Verdict::refused);
}

TEST_CASE("director: a firewall mark leads to its service") {
  Node node("rr");
  node.state.nft.marks =
      model::Marks{{{address("192.0.2.100"), model::L4::tcp, {Port{8000}, Port{8100}}}, 7}};
  const auto text = "198.51.100.7:51000 -> 192.0.2.100:8050/tcp";
  CHECK(node.explain(text).verdict == Verdict::not_here);
  node.state.ipvs[model::fwmark_service(7, model::Family::v4)] = node.state.ipvs.begin()->second;
  CHECK(node.explain(text).verdict == Verdict::depends);
}

namespace {

explain::Explanation on_server(const model::NodeState& state,
                               std::vector<model::Listener> listeners, std::string_view flow,
                               std::string_view cid = "") {
  std::optional<explain::Octets> octets;
  if (!cid.empty()) octets = *explain::parse_octets(cid);
  return explain::explain_on_server(*Flow::parse(flow),
                                    {state, std::move(listeners), std::move(octets),
                                     [](const model::ServerId& id) { return "rs" + id.text(); }});
}

model::NodeState steering_server() {
  model::NodeState state;
  state.addresses[{"lo", address("192.0.2.100")}] = {};
  state.xdp.attachments["eth0"] = {model::XdpMode::generic, "digest"};
  state.xdp.services[{address("192.0.2.100"), Port{443}}] = {.cids = {model::CidScheme{}}};
  state.xdp.servers[{.low = 1}] = {.local = true};
  state.xdp.servers[{.low = 2}] = {.mac = {{2, 0, 0, 0, 0, 2}}};
  state.xdp.servers[{.low = 3}] = {};
  return state;
}

constexpr auto udp = "198.51.100.7:51000 -> 192.0.2.100:443/udp";

}  // namespace

TEST_CASE("server: steering goes by the connection ID") {
  const auto state = steering_server();
  const std::vector<model::Listener> any{{address("::"), Port{443}}};
  CHECK(on_server(state, any, udp).verdict == Verdict::depends);
  CHECK(on_server(state, any, udp, "080001000000000000").verdict == Verdict::local);
  const auto away = on_server(state, any, udp, "080002000000000000");
  CHECK(away.verdict == Verdict::to_server);
  CHECK(away.server_name == "rs2");
  CHECK(away.steps.back().says == "layout 1: server id 2, rs2: sent on to 02:00:00:00:00:02");
  CHECK(on_server(state, any, udp, "080003000000000000").verdict == Verdict::local);
  CHECK(on_server(state, any, udp, "080009000000000000").verdict == Verdict::local);
  CHECK(on_server(state, any, udp, "280002000000000000").verdict == Verdict::local);
  auto drops = state;
  drops.xdp.services.begin()->second.drop_unknown = true;
  CHECK(on_server(drops, any, udp, "080009000000000000").verdict == Verdict::refused);
}

TEST_CASE("server: somebody must listen on the address") {
  const auto state = steering_server();
  constexpr auto tcp = "198.51.100.7:51000 -> 192.0.2.100:443/tcp";
  CHECK(on_server(state, {}, tcp).verdict == Verdict::refused);
  CHECK(on_server(state, {{address("192.0.2.11"), Port{443}}}, tcp).verdict == Verdict::refused);
  const auto plain = on_server(state, {{address("0.0.0.0"), Port{443}}}, tcp);
  CHECK(plain.verdict == Verdict::local);
  CHECK(says(plain) ==
        "address: 192.0.2.100/32 dev lo\n"
        "listener: 0.0.0.0:443, plain TCP: no MPTCP connection begins here\n");
  CHECK(on_server(state, {{address("::"), Port{443}, true}}, tcp).verdict == Verdict::local);
  CHECK(on_server(state, {{address("::"), Port{443}, true, true}}, tcp).verdict ==
        Verdict::refused);
}
