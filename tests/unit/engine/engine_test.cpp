#include "lbctl/engine/engine.hpp"

#include <doctest/doctest.h>

#include "fake_kernel.hpp"
#include "lbctl/plan/render.hpp"
#include "temp_dir.hpp"

using namespace lbctl;
using namespace lbctl::model;
using engine::Engine;
using engine::Goal;

namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
bool never() {
  return false;
}

const ServiceKey web{ip("192.0.2.100"), L4::tcp, Port{443}};
const DestinationKey rs1{ip("192.0.2.11"), Port{443}};
const DestinationKey rs2{ip("192.0.2.12"), Port{443}};
const AddressKey vip{"eth0", ip("192.0.2.100"), 32};
const EndpointKey signal_address{ip("192.0.2.111"), Port{0}};
constexpr const char* arp_ignore = "net/ipv4/conf/all/arp_ignore";

/// One of everything, as no single node would have it.
NodeState everything() {
  NodeState out;
  out.sysctls = {{arp_ignore, "1"}};
  out.ipvs[web] = {.scheduler = "mh", .destinations = {{rs1, {Weight{10}}}, {rs2, {Weight{10}}}}};
  out.nft.forward =
      SignalForward{{"eth0"}, "eth0", {{{ip("192.0.2.111")}, {ip("192.0.2.11"), true}}}};
  out.addresses = {{vip, {rtnl_protocol, true}}};
  out.mptcp.endpoints = {{signal_address, {.signal = true}}};
  out.mptcp.limits = MptcpLimits{4, 0};
  out.xdp.services = {{{ip("192.0.2.100"), Port{443}}, {}}};
  out.xdp.servers = {{ServerId{1}, {.local = true}}};
  out.xdp.attachments = {{"eth0", {XdpMode::automatic, "abc"}}};
  return out;
}

/// A node before lbctl, with things of other people on it.
NodeState used_before() {
  NodeState out;
  out.sysctls = {{arp_ignore, "0"}, {"net/other", "5"}};
  out.ipvs[{ip("198.51.100.1"), L4::udp, Port{53}}] = {.scheduler = "rr"};
  out.addresses = {{{"eth0", ip("192.0.2.10"), 24}, {}}};
  out.mptcp.endpoints = {{{ip("192.0.2.10"), Port{0}}, {.subflow = true}}};
  out.mptcp.limits = MptcpLimits{2, 0};
  out.xdp.foreign = {{"eth1", "someone"}};
  return out;
}

struct Node {
  Node() { kernel.state = used_before(); }
  engine::Report apply(const Goal& goal) {
    auto report = engine.apply(goal, *state, never);
    REQUIRE(report);
    return std::move(*report);
  }
  TempDir temp;
  fakes::FakeKernel kernel;
  Engine engine{kernel.backends()};
  Result<engine::StateDir> state = engine::StateDir::open(temp.path);
};

}  // namespace

TEST_CASE("apply: the kernel matches, a second apply does nothing, down leaves what was before") {
  Node node;
  const Goal goal{everything()};
  const auto first = node.apply(goal);
  CHECK(first.ok());
  CHECK(first.done == first.operations.size());
  CHECK(node.kernel.state.ipvs.at(web) == everything().ipvs.at(web));

  const auto second = node.apply(goal);
  CHECK(second.ok());
  CHECK(second.operations.empty());

  const auto down = node.apply(engine::nothing_left());
  CHECK(down.ok());
  CHECK(node.kernel.state == used_before());
  CHECK(*node.state->read_ledger() == engine::Ledger{});
}

TEST_CASE("apply: what plan showed is what apply did") {
  Node node;
  const Goal goal{everything()};
  const auto preview = node.engine.preview(goal, {});
  REQUIRE(preview);
  CHECK(plan::render(preview->plan.operations) == plan::render(node.apply(goal).operations));
}

TEST_CASE("apply: failed at any operation, the next one completes; then down leaves nothing") {
  const Goal goal{everything()};
  const std::size_t operations = Node().apply(goal).operations.size();
  REQUIRE(operations > 8);
  for (std::size_t n = 0; n < operations; ++n) {
    CAPTURE(n);
    Node node;
    node.kernel.fail_at = n;
    const auto failed = node.apply(goal);
    CHECK(failed.error);
    CHECK(failed.done == n);
    // All of them are additions, so what was done is taken back.
    CHECK_FALSE(failed.revert_error);
    CHECK(failed.reverted.size() <= n);
    CHECK(node.kernel.state == used_before());
    CHECK(*node.state->read_ledger() == engine::Ledger{});
    const auto again = node.apply(goal);
    CHECK(again.ok());
    CHECK(again.done == again.operations.size());
    CHECK(node.apply(engine::nothing_left()).ok());
    CHECK(node.kernel.state == used_before());
  }
}

TEST_CASE("down: failed at any operation, the next one completes") {
  for (std::size_t n = 0;; ++n) {
    CAPTURE(n);
    Node node;
    CHECK(node.apply({everything()}).ok());
    node.kernel.executed = 0;
    node.kernel.fail_at = n;
    if (node.apply(engine::nothing_left()).ok()) break;
    CHECK(node.apply(engine::nothing_left()).ok());
    CHECK(node.kernel.state == used_before());
  }
}

TEST_CASE("apply: a foreign object in the way is named, and nothing is touched") {
  Node node;
  node.kernel.state.ipvs[web] = {.scheduler = "rr"};
  node.kernel.state.addresses[{"dummy0", vip.address, 32}] = {};
  node.kernel.state.xdp.foreign["eth0"] = "katran";
  node.kernel.state.mptcp.endpoints[signal_address] = {.signal = true};
  const NodeState before = node.kernel.state;
  const auto report = node.apply({everything()});
  REQUIRE(report.refusals.size() == 4);
  CHECK(report.refusals[0].text() ==
        "IPVS service tcp 192.0.2.100:443 is there already, and lbctl did not make it");
  CHECK(report.refusals[1].text() ==
        "MPTCP endpoint 192.0.2.111 is there already, and lbctl did not make it");
  CHECK(report.refusals[2].text() ==
        "XDP program \"katran\" on eth0 is there already, and lbctl did not make it");
  CHECK(report.refusals[3].text() ==
        "address 192.0.2.100/32 dev dummy0 is there already, and lbctl did not make it");
  CHECK(report.done == 0);
  CHECK(node.kernel.state == before);
  CHECK(*node.state->read_ledger() == engine::Ledger{});
}

TEST_CASE("apply: a sysctl that the kernel lacks is refused before anything is changed") {
  Node node;
  Goal goal{everything()};
  goal.want.sysctls["net/mptcp/allow_join_initial_addr_port"] = "0";
  const NodeState before = node.kernel.state;
  const auto report = node.apply(goal);
  REQUIRE(report.refusals.size() == 1);
  CHECK(report.refusals[0].text() ==
        "this kernel has no sysctl net.mptcp.allow_join_initial_addr_port");
  CHECK(node.kernel.state == before);
}

TEST_CASE("apply: a hand edit of our objects is mended, a sysctl goes back to the first value") {
  Node node;
  const Goal goal{everything()};
  CHECK(node.apply(goal).ok());
  node.kernel.state.ipvs.at(web).destinations.erase(rs1);
  node.kernel.state.ipvs.at(web).destinations[{ip("192.0.2.13"), Port{443}}] = {Weight{1}};
  node.kernel.state.sysctls[arp_ignore] = "2";
  node.kernel.state.xdp.attachments.clear();
  const auto mended = node.apply(goal);
  CHECK(mended.ok());
  CHECK(plan::render(mended.operations) ==
        "~ sysctl net.ipv4.conf.all.arp_ignore  2 -> 1\n"
        "~ ipvs tcp 192.0.2.100:443  scheduler mh -> scheduler mh (mh-fallback)  (while servers "
        "drain)\n"
        "+ ipvs tcp 192.0.2.100:443 -> 192.0.2.11:443  dr weight 10\n"
        "+ xdp program dev eth0  automatic program abc\n"
        "~ ipvs tcp 192.0.2.100:443 -> 192.0.2.13:443  weight 1 -> 0  (not in the file)\n"
        "- ipvs tcp 192.0.2.100:443 -> 192.0.2.13:443  (not in the file)\n"
        "~ ipvs tcp 192.0.2.100:443  scheduler mh (mh-fallback) -> scheduler mh  (while servers "
        "drain)\n");
  CHECK(node.apply(engine::nothing_left()).ok());
  CHECK(node.kernel.state == used_before());
}

TEST_CASE("apply: stopped by a signal, it says how far it came, and the next one goes on") {
  Node node;
  int asked = 0;
  auto report = node.engine.apply({everything()}, *node.state, [&] { return ++asked > 2; });
  REQUIRE(report);
  CHECK(report->error);
  CHECK(report->done > 0);
  CHECK(report->done < report->operations.size());
  CHECK(node.apply({everything()}).ok());
}

TEST_CASE("apply: a kernel that takes a value for another is caught by reading back") {
  // The fake keeps what it is given, so a backend that changes the value stands between.
  struct Deaf : kernel::Backend {
    explicit Deaf(kernel::Backend& to) : real(to) {}
    Subsystem subsystem() const override { return real.subsystem(); }
    Result<> observe(const Scope& scope, Observed& out) override {
      return real.observe(scope, out);
    }
    kernel::Outcome execute(std::span<const Operation> run) override {
      return {run.size(), {}, {}};  // claims to have done everything
    }
    kernel::Backend& real;
  };
  Node node;
  auto backends = node.kernel.backends();
  Deaf deaf(*backends[0]);
  backends[0] = &deaf;
  Engine deaf_engine(backends);
  const auto report = deaf_engine.apply({everything()}, *node.state, never);
  REQUIRE(report);
  CHECK_FALSE(report->ok());
  CHECK(report->still_differs.size() == 3);
}

TEST_CASE("apply: a deadline of what was taken back does not count when it is tried again") {
  Node node;
  UnixTime now{1000};
  Engine engine(node.kernel.backends(), [&] { return now; });
  Goal goal{everything()};
  REQUIRE(engine.apply(goal, *node.state, never)->ok());
  node.kernel.counters[{web, rs1}] = {.active_connections = 1};
  const engine::Ledger before = *node.state->read_ledger();

  goal.want.ipvs.at(web).destinations.erase(rs1);
  node.kernel.fail_at = node.kernel.executed;
  const auto failed = engine.apply(goal, *node.state, never);
  REQUIRE(failed->error);
  CHECK_FALSE(failed->revert_error);
  CHECK(*node.state->read_ledger() == before);

  now = UnixTime{number(now) + 3600};
  CHECK(engine.apply(goal, *node.state, never)->ok());
  CHECK(node.kernel.cut.empty());
  CHECK(number(node.kernel.state.ipvs.at(web).destinations.at(rs1).weight) == 0);
}
