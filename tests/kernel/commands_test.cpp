// The lines of `lbctl plan --commands`, run by a shell and read with our backends: from one state
// to the next they must do what the plan says, to the last setting.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "lbctl/kernel/ipvs.hpp"
#include "lbctl/kernel/mptcp.hpp"
#include "lbctl/kernel/nft.hpp"
#include "lbctl/kernel/rtnl.hpp"
#include "lbctl/kernel/sysctl.hpp"
#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"
#include "namespace.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().text()));
  return std::move(*result);
}

/// A namespace with eth0 and eth1, and every backend but that for XDP.
class Node {
 public:
  Node() {
    tests::run(
        "ip link add eth0 type veth peer name peer0; ip link add eth1 type veth peer name peer1;"
        "for d in eth0 peer0 eth1 peer1; do ip link set $d addrgenmode none up; done;"
        "ip addr add 192.0.2.10/24 dev eth0; ip addr add 2001:db8::10/64 dev eth0 nodad");
    backends_.push_back(must(kernel::open_sysctl()));
    backends_.push_back(must(kernel::open_nft()));
    backends_.push_back(must(kernel::open_rtnl()));
    backends_.push_back(must(kernel::open_mptcp()));
    foreign_ = observe({}).addresses;
  }

  /// Without the addresses that stood there before. The others count as lbctl's: an ip as old as
  /// Debian 12's cannot mark them.
  NodeState observe(const NodeState& want) {
    Scope scope{.sysctls = {}, .ipvs = ipvs_, .nft = true, .mptcp = true};
    for (const auto& [path, value] : want.sysctls)
      scope.sysctls.insert(path);
    Observed seen;
    for (const auto& backend : backends_) {
      const auto read = backend->observe(scope, seen);
      REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    }
    for (const auto& [key, settings] : foreign_)
      seen.state.addresses.erase(key);
    for (auto& [key, settings] : seen.state.addresses)
      settings.protocol = rtnl_protocol;
    return seen.state;
  }

  void add_ipvs() {
    backends_.push_back(must(kernel::open_ipvs()));
    ipvs_ = true;
  }

  /// Runs the commands that lead there; what still differs afterwards, as a plan.
  std::string go_to(const NodeState& want) {
    const auto lines = plan::commands(plan::diff(want, observe(want)));
    CHECK(!lines.empty());
    const auto path = fmt::format("/tmp/lbctl-commands-{}.sh", static_cast<const void*>(this));
    std::ofstream(path) << fmt::format("{}\n", fmt::join(lines, "\n"));
    const std::string said = tests::try_run("sh -eu " + path + " && echo well done");
    std::remove(path.c_str());
    CHECK_MESSAGE(said.ends_with("well done\n"),
                  fmt::format("{}\n{}", fmt::join(lines, "\n"), said));
    return plan::render(plan::diff(want, observe(want)));
  }

 private:
  tests::Namespace net_;
  tests::Inside inside_{net_};
  std::vector<std::unique_ptr<kernel::Backend>> backends_;
  std::map<AddressKey, AddressSettings> foreign_;
  bool ipvs_ = false;
};

NodeState first() {
  NodeState out;
  out.sysctls = {{"net/ipv4/conf/eth0/arp_ignore", "1"}, {"net/ipv4/tcp_rmem", "4096 65536 99999"}};
  out.nft.forward = SignalForward{{"eth0"},
                                  "eth0",
                                  {{{ip("192.0.2.111")}, {ip("192.0.2.11"), true}},
                                   {{ip("192.0.2.112")}, {ip("192.0.2.12"), false}},
                                   {{ip("192.0.2.100"), Port{44301}}, {ip("192.0.2.11"), true}},
                                   {{ip("192.0.2.100"), Port{44302}}, {ip("192.0.2.12"), false}},
                                   {{ip("2001:db8::111")}, {ip("2001:db8::11"), true}},
                                   {{ip("2001:db8::112")}, {ip("2001:db8::12"), false}}}};
  out.nft.marks = Marks{{{ip("192.0.2.100"), L4::tcp, {Port{443}, Port{443}}}, 7},
                        {{ip("192.0.2.100"), L4::tcp, {Port{8000}, Port{8100}}}, 7},
                        {{ip("192.0.2.101"), L4::udp, all_ports}, {8, true}},
                        {{ip("192.0.2.101"), L4::tcp, all_ports}, {0, true}},
                        {{ip("2001:db8::100"), L4::tcp, {Port{443}, Port{443}}}, 7}};
  out.addresses = {{{"eth0", ip("192.0.2.100"), 32}, {rtnl_protocol, true}},
                   {{"lo", ip("192.0.2.111"), 32}, {rtnl_protocol, false}},
                   {{"lo", ip("2001:db8::111"), 128}, {rtnl_protocol, false}}};
  out.mptcp.endpoints = {{{ip("192.0.2.111"), {}}, {.signal = true}},
                         {{ip("2001:db8::111"), {}}, {.signal = true, .device = "eth0"}}};
  out.mptcp.limits = MptcpLimits{8, 4};
  return out;
}

/// The same rules, and every kind of change to their addresses.
NodeState second() {
  NodeState out = first();
  out.sysctls["net/ipv4/conf/eth0/arp_ignore"] = "2";
  auto& signals = out.nft.forward->addresses;
  signals[{ip("192.0.2.111")}] = {ip("192.0.2.13"), false};
  signals[{ip("192.0.2.112")}].join_only = true;
  signals.erase({ip("2001:db8::111"), {}});
  signals[{ip("192.0.2.100"), Port{44301}}] = {ip("192.0.2.13"), false};
  signals.erase({ip("192.0.2.100"), Port{44302}});
  signals[{ip("192.0.2.100"), Port{44303}}] = {ip("192.0.2.13"), true};
  signals[{ip("2001:db8::113")}] = {ip("2001:db8::13"), true};
  auto& marks = *out.nft.marks;
  marks[{ip("192.0.2.100"), L4::tcp, {Port{443}, Port{443}}}] = 9;
  marks.erase({ip("192.0.2.100"), L4::tcp, {Port{8000}, Port{8100}}});
  marks[{ip("192.0.2.100"), L4::tcp, {Port{8050}, Port{8200}}}] = 7;
  marks.erase({ip("192.0.2.101"), L4::udp, all_ports});
  marks[{ip("2001:db8::100"), L4::udp, all_ports}] = 8;
  marks[{ip("192.0.2.101"), L4::tcp, all_ports}] = {9, false};
  marks[{ip("2001:db8::100"), L4::tcp, {Port{443}, Port{443}}}] = {7, true};
  out.addresses.erase({"lo", ip("192.0.2.111"), 32});
  out.addresses[{"eth1", ip("2001:db8::100"), 128}] = {rtnl_protocol, true};
  out.mptcp.endpoints.erase({ip("2001:db8::111"), {}});
  out.mptcp.endpoints[{ip("192.0.2.111"), {}}] = {.signal = true, .device = "eth1"};
  out.mptcp.endpoints[{ip("192.0.2.10"), Port{44301}}] = {.signal = true};
  out.mptcp.limits = MptcpLimits{2, 0};
  return out;
}

NodeState third() {
  NodeState out = second();
  out.nft.forward->client_devices = {"eth0", "eth1"};
  out.nft.forward->server_device = "eth1";
  out.nft.forward->addresses[{ip("192.0.2.119")}] = {std::nullopt, true};
  const EndpointKey on4{ip("192.0.2.100"), Port{443}}, on6{ip("2001:db8::100"), Port{443}};
  out.nft.forward->mptcp_only = {on4, on6};
  out.nft.forward->limits["syn4_a-b.c"] = {{20, RateUnit::minute, 7}, 24, {on4}};
  out.nft.forward->limits["syn6_a-b.c"] = {{20, RateUnit::minute, 7}, 56, {on6}};
  return out;
}

const ServiceKey web4{ip("192.0.2.100"), L4::tcp, Port{443}};
const ServiceKey web6{ip("2001:db8::100"), L4::udp, Port{443}};
const ServiceKey mark6{ip("::"), L4::tcp, {}, 7};
const DestinationKey rs1{ip("192.0.2.11"), Port{443}}, rs2{ip("192.0.2.12"), Port{443}};

IpvsState services() {
  const Destination ten{.weight = Weight{10}};
  return {{web4,
           {.scheduler = "mh",
            .flags = {.persistent = true, .sched1 = true, .sched2 = true},
            .persistence_timeout = 300,
            .persistence_prefix = 24,
            .destinations = {{rs1, ten}, {rs2, {Weight{0}, Forward::tunnel, 100, 50}}}}},
          {web6,
           {.scheduler = "rr",
            .flags = {.one_packet = true},
            .persistence_prefix = 128,
            .destinations = {{{ip("2001:db8::11"), Port{443}}, ten}}}},
          {mark6,
           {.scheduler = "rr",
            .flags = {.persistent = true},
            .persistence_timeout = 60,
            .persistence_prefix = 64,
            .destinations = {{{ip("2001:db8::11"), {}}, {Weight{1}, Forward::masquerade}}}}}};
}

IpvsState other_services() {
  IpvsState out = services();
  out[web4] = {.scheduler = "rr",
               .flags = {},
               .destinations = {{rs1, {Weight{3}, Forward::tunnel, 9, 0}}, {rs2, {Weight{7}}}}};
  out[mark6].scheduler = "mh";
  out[mark6].flags = {.sched2 = true};
  out[mark6].persistence_timeout = 0;
  out[mark6].persistence_prefix = 128;
  out[mark6].destinations.begin()->second.upper_threshold = 5;
  out.erase(web6);
  return out;
}

}  // namespace

TEST_CASE("commands: from nothing to a full node, through every kind of change, and back") {
  Node node;
  CHECK(node.go_to(first()) == "");
  CHECK(node.go_to(second()) == "");
  CHECK(node.go_to(third()) == "");
  CHECK(node.go_to({}) == "");
}

TEST_CASE("commands: services and destinations, edited and removed") {
  Node node;
  if (tests::try_run("ipvsadm -Sn >/dev/null 2>&1 && echo yes") != "yes\n") {
    std::puts("skipped: this kernel has no IPVS (tests/lab/vm runs this test in a machine)");
    return;
  }
  node.add_ipvs();
  NodeState want;
  want.ipvs = services();
  CHECK(node.go_to(want) == "");
  want.ipvs = other_services();
  CHECK(node.go_to(want) == "");
  want.ipvs = services();
  CHECK(node.go_to(want) == "");
  CHECK(node.go_to({}) == "");
}
