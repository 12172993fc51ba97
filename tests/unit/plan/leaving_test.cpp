// What leaves, how long it stays, and what stays with it (decision 0008).
#include <doctest/doctest.h>

#include "lbctl/plan/plan.hpp"
#include "lbctl/plan/render.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

const ServiceKey web{ip("192.0.2.10"), L4::tcp, Port{80}};
const ServiceKey dns{ip("192.0.2.10"), L4::udp, Port{53}};
const DestinationKey a{ip("10.0.0.5"), Port{80}};
const DestinationKey b{ip("10.0.0.6"), Port{80}};
const AddressKey vip{"eth0", ip("192.0.2.10"), 32};
const AddressKey signal_b{"eth0", ip("192.0.2.112"), 32};
constexpr AddressSettings ours{rtnl_protocol, false};

/// A service with two servers, the VIP, and the second one's signal address.
NodeState two_servers(const char* scheduler = "rr") {
  NodeState out;
  out.ipvs[web] = {.scheduler = scheduler, .destinations = {{a, {Weight{1}}}, {b, {Weight{1}}}}};
  out.nft.forward = SignalForward{{"eth0"}, "eth0", {{{signal_b.address}, {b.address, true}}}};
  out.addresses = {{vip, ours}, {signal_b, ours}};
  return out;
}

NodeState without_b(NodeState state) {
  state.ipvs.at(web).destinations.erase(b);
  state.nft.forward.reset();
  state.addresses.erase(signal_b);
  return state;
}

struct Case {
  NodeState want, have;
  Observed observed;
  plan::Before before;
  Leaving recorded;
  Drains asked;
  std::optional<Patience> patience = Patience{};
  std::int64_t now = 1000;

  void connections(const ServiceKey& service, const DestinationKey& to, std::uint32_t count) {
    observed.ipvs_counters[{service, to}].inactive_connections = count;
  }
  struct Made : plan::Plan {
    NodeState end;
  };
  Made make() const {
    auto plan = plan::make({.want = want,
                            .have = have,
                            .observed = observed,
                            .before = before,
                            .recorded = recorded,
                            .asked = asked,
                            .patience = patience,
                            .now = UnixTime{now}});
    NodeState end = plan.end.value_or(want);
    return {std::move(plan), std::move(end)};
  }
};

}  // namespace

TEST_CASE("leaving: a destination with connections stays, with its signal address") {
  Case c{without_b(two_servers()), two_servers()};
  c.connections(web, b, 7);
  const auto plan = c.make();
  CHECK(plan::render(plan.operations) ==
        "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  weight 1 -> 0  (not in the file; 7 connections "
        "to drain)\n");
  CHECK(plan.end.nft == c.have.nft);
  CHECK(plan.end.addresses == c.have.addresses);
  CHECK(plan.stays.destinations.at({web, b}).deadline == UnixTime{1300});
}

TEST_CASE("leaving: joins that IPVS brings home do so as long as their server has connections") {
  const ServiceKey joins{signal_b.address, L4::tcp, Port{80}};
  NodeState with = two_servers();
  with.nft.forward->addresses[{signal_b.address}] = {std::nullopt, true};
  with.ipvs[joins] = {.scheduler = "rr", .destinations = {{b, {Weight{1}}}}};
  NodeState without = without_b(with);
  without.ipvs.erase(joins);
  Case c{without, with};
  c.connections(web, b, 7);
  const auto plan = c.make();
  CHECK(plan::render(plan.operations) ==
        "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  weight 1 -> 0  (not in the file; 7 connections "
        "to drain)\n");
  CHECK(plan.end.nft == c.have.nft);
  CHECK(plan.end.ipvs.at(joins) == c.have.ipvs.at(joins));

  // Its time is that of the first apply, though it has weight.
  Case later{without, plan.end};
  later.recorded = plan.stays;
  later.now = 1200;
  later.connections(web, b, 7);
  CHECK(later.make().stays.destinations.at({joins, b}).deadline == UnixTime{1300});
  later.now = 1300;
  later.connections(joins, b, 7);
  CHECK(later.make().end == without);

  // With the last connection of the service both go.
  Case idle{without, plan.end};
  idle.recorded = plan.stays;
  CHECK(idle.make().end == without);
}

TEST_CASE("leaving: a server that failed and keeps its connections gets no more joins by IPVS") {
  const ServiceKey joins{signal_b.address, L4::tcp, Port{80}};
  NodeState have = two_servers();
  have.nft.forward->addresses[{signal_b.address}] = {std::nullopt, true};
  have.ipvs[joins] = {.scheduler = "rr", .destinations = {{b, {Weight{1}}}}};
  Case c{have, have};
  c.want.ipvs.at(web).destinations.erase(b);
  c.want.ipvs.at(joins).destinations.erase(b);
  c.asked = {{{web, b}, failed_with_time()}, {{joins, b}, failed_with_time()}};
  c.connections(web, b, 7);
  const auto plan = c.make();
  CHECK(number(plan.end.ipvs.at(web).destinations.at(b).weight) == 0);
  CHECK(plan.end.ipvs.at(joins).destinations.empty());
  CHECK(plan.end.nft == have.nft);
}

TEST_CASE("leaving: an idle destination goes by way of weight 0, before its signal address") {
  const Case c{without_b(two_servers()), two_servers()};
  const auto plan = c.make();
  CHECK(plan.first == 1);
  CHECK(plan::render(plan.operations) ==
        "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  weight 1 -> 0  (not in the file)\n"
        "- address 192.0.2.112/32 dev eth0  (not in the file)\n"
        "- nft table netdev lbctl  (not in the file)\n"
        "- ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  (not in the file)\n");
  CHECK(plan.end == c.want);
}

TEST_CASE("leaving: a recorded deadline stands, and cuts off what is left") {
  Case c{without_b(two_servers()), two_servers()};
  c.have.ipvs.at(web).destinations.at(b).weight = Weight{0};
  c.connections(web, b, 2);
  c.recorded.destinations[{web, b}] = {UnixTime{1001}};
  CHECK(c.make().operations.empty());
  c.now = 1001;
  CHECK(plan::render(c.make().operations)
            .find("-> 10.0.0.6:80  (the time to drain is over; 2 "
                  "connections cut off)") != std::string::npos);
}

TEST_CASE("leaving: a deadline recorded by an apply that never came to the weight does not count") {
  Case c{without_b(two_servers()), two_servers()};
  c.connections(web, b, 2);
  c.recorded.destinations[{web, b}] = {UnixTime{900}};
  CHECK(c.make().stays.destinations.at({web, b}).deadline == UnixTime{1300});
}

TEST_CASE("leaving: a service that leaves keeps its VIP; UDP has its own patience") {
  Case c;
  c.have.ipvs[dns] = {.scheduler = "rr", .destinations = {{a, {Weight{1}}}}};
  c.have.addresses = {{vip, ours}};
  c.connections(dns, a, 1);
  const auto plan = c.make();
  CHECK(plan.end.addresses.contains(vip));
  CHECK(plan.end.ipvs.at(dns).destinations.at(a).weight == Weight{0});
  CHECK(plan.stays.destinations.at({dns, a}).deadline == UnixTime{1120});
}

TEST_CASE("leaving: the schedulers that hash have their fallback flag meanwhile") {
  for (const char* scheduler : {"mh", "sh"}) {
    CAPTURE(scheduler);
    Case c{without_b(two_servers(scheduler)), two_servers(scheduler)};
    c.connections(web, b, 1);
    const auto draining = c.make();
    CHECK(draining.end.ipvs.at(web).flags.sched1);
    REQUIRE(draining.operations.size() == 2);
    // The flag first: without it the scheduler refuses those that hash onto weight 0.
    CHECK(std::holds_alternative<EditService>(draining.operations[0].action));
    CHECK(draining.operations[0].why == Reason::draining);

    c.have = draining.end;
    c.observed.ipvs_counters.clear();
    const auto over = c.make();
    CHECK_FALSE(over.end.ipvs.at(web).flags.sched1);
    // And last of all it goes.
    CHECK(std::holds_alternative<EditService>(over.operations.back().action));
  }
}

TEST_CASE("leaving: a drain that was asked for has its own deadline and target") {
  Case c{without_b(two_servers()), two_servers()};
  c.want.nft = c.have.nft;
  c.want.addresses = c.have.addresses;
  c.asked[{web, b}] = {UnixTime{5000}, 3, true};
  c.connections(web, b, 4);
  const auto draining = c.make();
  REQUIRE(draining.operations.size() == 1);
  CHECK(draining.operations[0].why == Reason::drain_asked);
  CHECK(draining.stays.destinations.at({web, b}).deadline == UnixTime{5000});
  c.connections(web, b, 3);
  CHECK(c.make().stays.destinations.empty());
}

TEST_CASE("leaving: a server that failed goes at once, with the way of its joins") {
  Case c{.want = two_servers(), .have = two_servers()};
  c.want.ipvs.at(web).destinations.erase(b);
  c.want.nft.forward->addresses.clear();
  c.asked[{web, b}] = failed_at_once();
  c.connections(web, b, 7);
  const auto plan = c.make();
  CHECK(
      plan::render(plan.operations) ==
      "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  weight 1 -> 0  (its health checks fail; "
      "7 connections to drain)\n"
      "- nft signal 192.0.2.112  (its health checks fail)\n"
      "- ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  (its health checks fail; 7 connections cut off)\n");
  CHECK(plan.stays.empty());
}

TEST_CASE("leaving: or it stays with weight 0 as long as connections use it, without new joins") {
  Case c{.want = two_servers(), .have = two_servers()};
  c.want.ipvs.at(web).destinations.erase(b);
  c.want.nft.forward->addresses.clear();
  c.asked[{web, b}] = failed_with_time();
  c.connections(web, b, 7);
  const auto plan = c.make();
  CHECK(plan::render(plan.operations) ==
        "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  weight 1 -> 0  (its health checks fail; "
        "7 connections to drain)\n"
        "- nft signal 192.0.2.112  (its health checks fail)\n");
  CHECK(plan::render(plan.stays, c.observed, UnixTime{1000}) ==
        std::vector<std::string>{
            "ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  7 connections, (its health checks fail)"});
  c.connections(web, b, 0);
  CHECK(c.make().stays.empty());
}

TEST_CASE("leaving: without patience everything goes at once") {
  Case c{without_b(two_servers()), two_servers()};
  c.connections(web, b, 7);
  c.patience.reset();
  const auto plan = c.make();
  CHECK(plan.end == c.want);
  CHECK(plan::render(plan.operations) ==
        "- address 192.0.2.112/32 dev eth0  (not in the file)\n"
        "- nft table netdev lbctl  (not in the file)\n"
        "- ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  (not in the file; 7 connections cut off)\n");
}

TEST_CASE("leaving: a new server stands before the weight of the old one goes to 0") {
  Case c{without_b(two_servers()), two_servers()};
  c.have.ipvs.at(web).destinations.erase(b);
  c.want.ipvs.at(web).destinations = {{b, {Weight{1}}}};
  c.connections(web, a, 1);
  const auto operations = c.make().operations;
  REQUIRE(operations.size() == 2 + 2);  // what was b's signal address leaves, too
  CHECK(std::holds_alternative<AddDestination>(operations[0].action));
  CHECK(std::holds_alternative<EditDestination>(operations[1].action));
}

TEST_CASE("leaving: on a real server an address stays while TCP uses it, steering for its time") {
  constexpr const char* arp = "net/ipv4/conf/all/arp_ignore";
  const SteeredKey quic{ip("192.0.2.10"), Port{443}};
  Case c;
  c.before.sysctls = {{arp, "0"}};
  c.have.sysctls = {{arp, "1"}};
  c.have.addresses = {{{"lo", ip("192.0.2.10"), 32}, ours}, {{"lo", ip("192.0.2.111"), 32}, ours}};
  c.have.mptcp.endpoints = {{{ip("192.0.2.111"), Port{}}, {.signal = true}}};
  c.have.xdp.services = {{quic, {}}};
  c.have.xdp.servers = {{ServerId{1}, {.local = true}}};
  c.have.xdp.attachments = {{"eth0", {XdpMode::generic, "x"}}};
  c.observed.sockets = {{ip("192.0.2.111"), 2}};
  CHECK(plan::addresses_to_count(c.want, c.have) ==
        std::set<IpAddress>{ip("192.0.2.10"), ip("192.0.2.111")});
  // The VIP is needed by what is steered to it. Subflows of the signal address live on, but peers
  // are told to send elsewhere.
  const auto first = c.make().operations;
  REQUIRE(first.size() == 1);
  const auto& set = std::get<SetEndpoint>(first.front().action);
  CHECK(set.to.backup);
  c.have.mptcp.endpoints.begin()->second = set.to;
  CHECK(c.make().operations.empty());
  CHECK(c.make().end == c.have);

  c.recorded = c.make().leaving;
  c.now = 1120;  // the time of UDP is over: the VIP and the steering go, the ARP sysctl must not
  const auto later = c.make();
  CHECK(later.end.xdp == XdpState{});
  CHECK(later.end.addresses.size() == 1);
  CHECK(later.end.mptcp.endpoints == c.have.mptcp.endpoints);
  CHECK(later.end.sysctls == c.have.sysctls);

  c.observed.sockets.clear();
  const auto over = c.make();
  CHECK(over.end == NodeState{});
  CHECK(over.operations.back().phase == Phase::restore_sysctl);
}

TEST_CASE("irrevocable: what no revert brings back is named") {
  const std::vector<Operation> operations{
      {Phase::add_ipvs, AddDestination{web, a, {}}, Reason::not_in_kernel},
      {Phase::drain_ipvs, EditDestination{web, a, {Weight{1}}, {Weight{0}}}, Reason::differs, 9},
      {Phase::remove_endpoint, RemoveEndpoint{{ip("192.0.2.111"), Port{}}, {}},
       Reason::not_in_file},
      {Phase::remove_ipvs, RemoveDestination{web, b}, Reason::deadline, 3},
      {Phase::remove_ipvs, RemoveDestination{web, a}, Reason::not_in_file}};
  const auto lines = plan::irrevocable(operations);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("endpoint 192.0.2.111") != std::string::npos);
  CHECK(lines[1].find("10.0.0.6") != std::string::npos);
}

TEST_CASE("irrevocable: forwarding of IPv6 costs learned routes, its end nothing") {
  const auto lines = [](const char* from, const char* to) {
    const std::vector<Operation> operations{
        {Phase::set_sysctl, SetSysctl{"net/ipv6/conf/all/forwarding", from, to}, Reason::differs}};
    return plan::irrevocable(operations);
  };
  REQUIRE(lines("0", "1").size() == 1);
  CHECK(lines("0", "1")[0] ==
        "~ sysctl net.ipv6.conf.all.forwarding  0 -> 1: routes from router advertisements go, but "
        "for devices with accept_ra=2");
  CHECK(lines("1", "0").empty());
}

TEST_CASE("durations as people read them") {
  CHECK(plan::duration(0) == "0s");
  CHECK(plan::duration(59) == "59s");
  CHECK(plan::duration(60) == "1m");
  CHECK(plan::duration(287) == "4m47s");
  CHECK(plan::duration(3900) == "1h5m");
  CHECK(plan::duration(7200) == "2h");
}
