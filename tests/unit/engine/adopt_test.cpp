// Foreign objects that become lbctl's, and connections that begin while an apply is at work.
#include <doctest/doctest.h>

#include "fake_kernel.hpp"
#include "lbctl/engine/engine.hpp"
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

NodeState wanted() {
  NodeState out;
  out.ipvs[web] = {.scheduler = "rr", .destinations = {{rs1, {Weight{1}}}, {rs2, {Weight{1}}}}};
  out.addresses = {{vip, {rtnl_protocol, true}}};
  out.mptcp.endpoints = {{signal_address, {.signal = true}}};
  return out;
}

struct Node {
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

/// Hands out one more connection of a destination from the second look on.
class Busy : public kernel::Backend {
 public:
  explicit Busy(kernel::Backend& to) : real_(to) {}
  Subsystem subsystem() const override { return real_.subsystem(); }
  Result<> observe(const Scope& scope, Observed& out) override {
    auto read = real_.observe(scope, out);
    if (scope.ipvs && ++looks_ == 2) out.ipvs_counters[{web, rs2}].inactive_connections = 1;
    return read;
  }
  kernel::Outcome execute(std::span<const Operation> run) override { return real_.execute(run); }

 private:
  kernel::Backend& real_;
  int looks_ = 0;
};

}  // namespace

TEST_CASE("adopt: what is exactly as wanted becomes lbctl's, without a change but the mark") {
  Node node;
  node.kernel.state = wanted();
  node.kernel.state.addresses.at(vip).protocol = 0;
  Goal goal{wanted()};
  CHECK(node.apply(goal).refusals.size() == 3);

  goal.adopt = true;
  const auto report = node.apply(goal);
  CHECK(report.ok());
  CHECK(report.adopted == std::vector<std::string>{"ipvs tcp 192.0.2.100:443",
                                                   "mptcp endpoint 192.0.2.111",
                                                   "address 192.0.2.100/32 dev eth0"});
  CHECK(plan::render(report.operations) ==
        "~ address 192.0.2.100/32 dev eth0  marked as lbctl's\n");
  CHECK(node.apply({wanted()}).operations.empty());
  CHECK(node.apply(engine::nothing_left()).ok());
  CHECK(node.kernel.state == NodeState{});
}

TEST_CASE("adopt: what differs stays in the way") {
  Node node;
  node.kernel.state.ipvs[web] = {.scheduler = "rr", .destinations = {{rs1, {Weight{2}}}}};
  node.kernel.state.mptcp.endpoints = {{signal_address, {.subflow = true}}};
  const NodeState before = node.kernel.state;
  Goal goal{wanted()};
  goal.adopt = true;
  CHECK(node.apply(goal).refusals.size() == 2);
  CHECK(node.kernel.state == before);
}

TEST_CASE("drain: a connection that begins while the weight goes to 0 keeps its server") {
  Node node;
  CHECK(node.apply({wanted()}).ok());
  Goal goal{wanted()};
  goal.want.ipvs.at(web).destinations.erase(rs2);
  auto backends = node.kernel.backends();
  Busy busy(*backends[0]);
  backends[0] = &busy;
  const auto report = Engine(backends).apply(goal, *node.state, never);
  REQUIRE(report);
  CHECK(report->ok());
  CHECK(plan::render(report->operations) ==
        "~ ipvs tcp 192.0.2.100:443 -> 192.0.2.12:443  weight 1 -> 0  (not in the file)\n");
  CHECK(report->notes.size() == 1);
  CHECK(node.kernel.state.ipvs.at(web).destinations.at(rs2).weight == Weight{0});
  CHECK(node.state->read_ledger()->leaving.destinations.contains({web, rs2}));

  // It ends, and the next apply removes the server.
  CHECK(node.apply(goal).ok());
  CHECK(node.kernel.state.ipvs == goal.want.ipvs);
  CHECK(node.state->read_ledger()->leaving.empty());
}

TEST_CASE("drain: the deadline counts from the first apply, and is kept in the ledger") {
  Node node;
  std::int64_t now = 1000;
  auto backends = node.kernel.backends();
  const Engine::Clock clock = [&] { return UnixTime{now}; };
  Engine engine(backends, clock);
  NodeState quic;
  quic.xdp.services = {{{ip("192.0.2.100"), Port{443}}, {}}};
  quic.xdp.attachments = {{"eth0", {XdpMode::generic, "x"}}};
  REQUIRE(engine.apply({quic}, *node.state, never));
  for (const std::int64_t moment : {2000, 2060, 2119}) {
    now = moment;
    CHECK(engine.apply({NodeState{}}, *node.state, never)->operations.empty());
    CHECK(node.kernel.state.xdp == quic.xdp);
  }
  now = 2120;
  CHECK(engine.apply({NodeState{}}, *node.state, never)->operations.size() == 2);
  CHECK(node.kernel.state.xdp == XdpState{});
  CHECK(*node.state->read_ledger() == engine::Ledger{});
}
