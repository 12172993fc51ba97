// The MPTCP backend against `ip mptcp`, in both directions.
#include "lbctl/kernel/mptcp.hpp"

#include <doctest/doctest.h>

#include "as_nobody.hpp"
#include "namespace.hpp"

using namespace lbctl::model;
using namespace lbctl::tests;
using lbctl::Errc;
using lbctl::kernel::Backend;
using lbctl::kernel::Outcome;

namespace {

Operation op(Action action) {
  return {.phase = Phase::add_endpoint, .action = std::move(action), .why = Reason::not_in_kernel};
}

EndpointKey at(const char* address, std::uint16_t port = 0) {
  return {.address = *IpAddress::parse(address), .port = Port{port}};
}

const Endpoint signal_endpoint{.signal = true, .device = ""};

std::unique_ptr<Backend> open() {
  auto backend = lbctl::kernel::open_mptcp();
  REQUIRE(backend);
  return std::move(*backend);
}

MptcpState observe(Backend& backend) {
  Observed out;
  auto read = backend.observe({.sysctls = {}, .mptcp = true}, out);
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
  return out.state.mptcp;
}

Outcome execute(Backend& backend, const std::vector<Operation>& run) {
  return backend.execute(run);
}

std::string text(const Outcome& out) {
  return out.error ? out.error->text() : "done";
}

}  // namespace

TEST_CASE("mptcp: ip lists what we add") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  run("ip link add name veth0 type veth peer name veth1");
  const auto out = execute(
      *backend,
      {op(AddEndpoint{at("127.0.0.1", 4433), {.signal = true, .device = "lo"}}),
       op(AddEndpoint{at("192.0.2.111"), signal_endpoint}),
       op(AddEndpoint{at("2001:db8:100::111"),
                      {.subflow = true, .backup = true, .device = "veth0"}}),
       op(AddEndpoint{at("192.0.2.112"), {.subflow = true, .fullmesh = true, .device = ""}}),
       op(SetMptcpLimits{{}, {.subflows = 5, .add_addr_accepted = 3}})});
  CHECK(text(out) == "done");
  CHECK(out.done == 5);
  CHECK(run("ip mptcp endpoint show") ==
        "127.0.0.1 port 4433 id 1 signal dev lo \n"
        "192.0.2.111 id 2 signal \n"
        "2001:db8:100::111 id 3 subflow backup dev veth0 \n"
        "192.0.2.112 id 4 subflow fullmesh \n");
  CHECK(run("ip mptcp limits") == "add_addr_accepted 3 subflows 5 \n");
}

TEST_CASE("mptcp: we read what ip adds, with ids and devices") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  CHECK(observe(*backend) == MptcpState{.endpoints = {}, .limits = MptcpLimits{}});
  run("ip link add name veth0 type veth peer name veth1");
  run("ip mptcp limits set subflows 4 add_addr_accepted 1");
  run("ip mptcp endpoint add 127.0.0.1 port 4433 dev lo signal id 200");
  run("ip mptcp endpoint add 2001:db8::1 subflow backup fullmesh dev veth0");
  const auto state = observe(*backend);
  CHECK(state.limits == MptcpLimits{.subflows = 4, .add_addr_accepted = 1});
  REQUIRE(state.endpoints.size() == 2);
  const auto& v4 = state.endpoints.at(at("127.0.0.1", 4433));
  CHECK(v4.text() == "signal dev lo");
  CHECK(v4.id == 200);
  CHECK(state.endpoints.at(at("2001:db8::1")).text() == "subflow backup fullmesh dev veth0");
  run("ip link del veth0");  // takes the device away, leaves the endpoint
  CHECK(observe(*backend).endpoints.at(at("2001:db8::1")).device.starts_with("if"));
}

TEST_CASE("mptcp: what is out of scope is neither read nor forgotten") {
  const Namespace net;
  const Inside inside(net);
  run("ip mptcp endpoint add 192.0.2.1 signal");
  Observed out;
  out.state.mptcp.endpoints[at("192.0.2.9")] = signal_endpoint;
  CHECK(open()->observe({.sysctls = {}}, out));
  CHECK(out.state.mptcp.endpoints.size() == 1);
  CHECK_FALSE(out.state.mptcp.limits);
}

TEST_CASE("mptcp: removing goes by address and port, whatever id is remembered") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  run("ip mptcp endpoint add 192.0.2.1 signal id 1");
  run("ip mptcp endpoint add 192.0.2.2 signal id 2");
  run("ip mptcp endpoint add 2001:db8::2 signal id 3");
  Endpoint stale = signal_endpoint;
  stale.id = 1;  // now that of another endpoint
  const auto out = execute(*backend, {op(RemoveEndpoint{at("192.0.2.2"), stale}),
                                      op(RemoveEndpoint{at("2001:db8::2"), stale}),
                                      op(RemoveEndpoint{at("192.0.2.3"), stale})});
  CHECK(text(out) == "done");
  CHECK(out.done == 3);
  CHECK(out.notes == std::vector<std::string>{"remove endpoint 192.0.2.3: was already gone"});
  CHECK(run("ip mptcp endpoint show") == "192.0.2.1 id 1 signal \n");
}

TEST_CASE(
    "mptcp: the backup flag of one that stands is set and taken back, with or without a port") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  run("ip addr add 192.0.2.2/32 dev lo");
  run("ip mptcp endpoint add 192.0.2.1 signal id 1");
  run("ip mptcp endpoint add 192.0.2.2 port 44301 signal id 2");
  run("ip mptcp endpoint add 2001:db8::2 signal id 3");
  EndpointKey with_port = at("192.0.2.2");
  with_port.port = Port{44301};
  Endpoint backup = signal_endpoint;
  backup.backup = true;
  const auto set = execute(*backend, {op(SetEndpoint{at("2001:db8::2"), signal_endpoint, backup}),
                                      op(SetEndpoint{with_port, signal_endpoint, backup})});
  CHECK(text(set) == "done");
  CHECK(run("ip mptcp endpoint show") ==
        "192.0.2.1 id 1 signal \n192.0.2.2 port 44301 id 2 signal backup \n"
        "2001:db8::2 id 3 signal backup \n");
  const auto back = execute(*backend, {op(SetEndpoint{with_port, backup, signal_endpoint}),
                                       op(SetEndpoint{at("192.0.2.9"), signal_endpoint, backup})});
  CHECK(back.done == 1);
  CHECK(run("ip mptcp endpoint show").find("port 44301 id 2 signal \n") != std::string::npos);
}

TEST_CASE("mptcp: an endpoint that is there is a conflict, and the run stops there") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  run("ip mptcp endpoint add 192.0.2.2 subflow");
  const auto out = execute(*backend, {op(AddEndpoint{at("192.0.2.1"), signal_endpoint}),
                                      op(AddEndpoint{at("192.0.2.2"), signal_endpoint}),
                                      op(AddEndpoint{at("192.0.2.3"), signal_endpoint})});
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->code() == Errc::conflict);
  CHECK(out.error->sys() == EEXIST);
  CHECK(out.error->text().starts_with("add endpoint 192.0.2.2 signal"));
  CHECK(run("ip mptcp endpoint show") == "192.0.2.2 id 1 subflow \n192.0.2.1 id 2 signal \n");
}

TEST_CASE("mptcp: one endpoint too many names the limit") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  std::vector<Operation> run;
  for (int i = 1; i <= 100; ++i)
    run.push_back(op(AddEndpoint{at(("192.0.2." + std::to_string(i)).c_str()), signal_endpoint}));
  const auto out = execute(*backend, run);
  REQUIRE(out.error);
  CHECK(out.error->sys() == ERANGE);
  CHECK(out.error->hint().contains("at most 8 endpoints"));
  CHECK(out.done == max_mptcp_endpoints);
  CHECK(observe(*backend).endpoints.size() == out.done);
}

TEST_CASE("mptcp: a port on an address that is not local, or taken, says what to do") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  auto out = execute(*backend, {op(AddEndpoint{at("192.0.2.1", 4433), signal_endpoint})});
  REQUIRE(out.error);
  CHECK(out.error->sys() == EADDRNOTAVAIL);
  CHECK(out.error->hint().contains("must stand on a device first"));
  // A kernel listener at 127.0.0.1:4433; the wildcard of the next one clashes with it.
  out = execute(*backend, {op(AddEndpoint{at("127.0.0.1", 4433), signal_endpoint}),
                           op(AddEndpoint{at("0.0.0.0", 4433), signal_endpoint})});
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->sys() == EADDRINUSE);
  CHECK(out.error->hint().contains("port 4433 already"));
}

TEST_CASE("mptcp: limits above the kernel's are refused in its words") {
  const Namespace net;
  const Inside inside(net);
  const auto backend = open();
  const auto out =
      execute(*backend, {op(SetMptcpLimits{{}, {.subflows = 1000, .add_addr_accepted = 0}})});
  REQUIRE(out.error);
  CHECK(out.error->sys() == EINVAL);
  CHECK(out.error->text().contains("kernel: \"limit greater than maximum"));
}

TEST_CASE("mptcp: a device that is not there is named") {
  const Namespace net;
  const Inside inside(net);
  const auto out =
      execute(*open(), {op(AddEndpoint{at("192.0.2.1"), {.signal = true, .device = "eth9"}})});
  REQUIRE(out.error);
  CHECK(out.error->code() == Errc::not_found);
  CHECK(out.error->text() ==
        "add endpoint 192.0.2.1 signal dev eth9: device eth9: No such device (ENODEV)");
}

TEST_CASE("mptcp: without the capability the refusal says which one") {
  const Namespace net;
  const Inside inside(net);
  CHECK(as_nobody([] {
    auto backend = lbctl::kernel::open_mptcp();
    if (!backend) return false;
    const std::vector run{op(AddEndpoint{at("192.0.2.1"), signal_endpoint})};
    const auto out = (*backend)->execute(run);
    return out.done == 0 && out.error && out.error->code() == Errc::permission &&
           out.error->hint().contains("CAP_NET_ADMIN");
  }));
}
