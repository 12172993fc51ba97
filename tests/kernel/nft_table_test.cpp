// Written with our code and read with nft, and the other way round.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <memory>

#include "lbctl/kernel/nft.hpp"
#include "namespace.hpp"
#include "rules_text.hpp"

namespace {

using namespace lbctl;
using tests::Inside;
using tests::Namespace;
using tests::run;

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

/// The example of rules/director-forward.nft.
model::SignalForward example() {
  model::SignalForward forward;
  forward.client_devices = {"eth0"};
  forward.server_device = "eth0";
  forward.addresses[{ip("192.0.2.111")}] = {.server = ip("192.0.2.11"), .join_only = true};
  forward.addresses[{ip("192.0.2.112")}] = {.server = ip("192.0.2.12"), .join_only = false};
  forward.addresses[{ip("2001:db8:100::111")}] = {.server = ip("2001:db8:100::11"),
                                                  .join_only = true};
  forward.addresses[{ip("2001:db8:100::112")}] = {.server = ip("2001:db8:100::12"),
                                                  .join_only = false};
  forward.addresses[{ip("192.0.2.100"), model::Port{44301}}] = {.server = ip("192.0.2.11"),
                                                                .join_only = true};
  forward.addresses[{ip("192.0.2.100"), model::Port{44302}}] = {.server = ip("192.0.2.12"),
                                                                .join_only = false};
  return forward;
}

model::Operation operation(model::Action action) {
  return {.phase = model::Phase::add_nft,
          .action = std::move(action),
          .why = model::Reason::not_in_kernel};
}

/// A namespace with two devices and the backend in it.
struct Director {
  Namespace ns;
  Inside inside{ns};
  std::unique_ptr<kernel::Backend> backend = std::move(kernel::open_nft().value());

  Director() {
    run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up");
    run("ip link add eth1 type veth peer name peer1 && ip link set eth1 up");
  }
  model::NftState observe() {
    model::Scope scope;
    scope.nft = true;
    model::Observed seen;
    const auto read = backend->observe(scope, seen);
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    return seen.state.nft;
  }
  kernel::Outcome execute(std::vector<model::Action> actions) {
    std::vector<model::Operation> run;
    for (auto& action : actions)
      run.push_back(operation(std::move(action)));
    return backend->execute(run);
  }
  void must(std::vector<model::Action> actions) {
    const std::size_t count = actions.size();
    const kernel::Outcome outcome = execute(std::move(actions));
    REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
    REQUIRE(outcome.done == count);
  }
};

std::string listing() {
  return run("nft -s list table netdev lbctl");
}

}  // namespace

TEST_CASE("nft: rules/director-forward.nft is what nft lists after we made the table") {
  Director director;
  director.must({model::CreateForward{.forward = example(), .replaces = false}});
  CHECK(tests::essence_of_file("director-forward.nft") == tests::essence(listing()));
}

TEST_CASE("nft: the rules file, loaded with nft, is read as intact") {
  Director director;
  run("nft -f " LBCTL_SOURCE_DIR "/rules/director-forward.nft");
  CHECK(director.observe() == model::NftState{.forward = example(), .intact = true});
}

TEST_CASE("nft: what was made is read back; removing leaves nothing") {
  Director director;
  CHECK(director.observe() == model::NftState{});
  auto forward = example();
  forward.client_devices = {"eth0", "eth1"};
  director.must({model::CreateForward{.forward = forward, .replaces = false}});
  CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
  director.must({model::RemoveForward{}});
  CHECK(director.observe() == model::NftState{});
  CHECK(run("nft list ruleset").empty());
}

TEST_CASE("nft: out of scope nothing is read") {
  Director director;
  director.must({model::CreateForward{.forward = example(), .replaces = false}});
  model::Observed seen;
  REQUIRE(director.backend->observe(model::Scope{}, seen).has_value());
  CHECK(!seen.state.nft.forward);
}

TEST_CASE("nft: signal addresses change in place, one transaction for the run") {
  Director director;
  auto forward = example();
  director.must({model::CreateForward{.forward = forward, .replaces = false}});
  const model::EndpointKey moved{ip("192.0.2.111"), {}}, gone{ip("192.0.2.112"), {}},
      added{ip("2001:db8:100::113"), {}};
  const model::EndpointKey port_moved{ip("192.0.2.100"), model::Port{44301}},
      port_gone{ip("192.0.2.100"), model::Port{44302}},
      port_added{ip("192.0.2.100"), model::Port{44303}};
  const model::ForwardTarget to{.server = ip("192.0.2.13"), .join_only = false};
  const model::ForwardTarget fresh{.server = ip("2001:db8:100::13"), .join_only = true};
  director.must(
      {model::SetSignal{.signal = moved, .from = forward.addresses[moved], .to = to},
       model::SetSignal{.signal = added, .from = std::nullopt, .to = fresh},
       model::RemoveSignal{.signal = gone, .from = forward.addresses[gone]},
       model::SetSignal{.signal = port_moved, .from = forward.addresses[port_moved], .to = to},
       model::SetSignal{.signal = port_added, .from = std::nullopt, .to = to},
       model::RemoveSignal{.signal = port_gone, .from = forward.addresses[port_gone]},
       // Nothing to change, no message.
       model::SetSignal{.signal = added, .from = fresh, .to = fresh}});
  forward.addresses[moved] = to;
  forward.addresses[added] = fresh;
  forward.addresses.erase(gone);
  forward.addresses[port_moved] = forward.addresses[port_added] = to;
  forward.addresses.erase(port_gone);
  CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
  CHECK(listing().find("192.0.2.111 counter : 192.0.2.13") != std::string::npos);
}

TEST_CASE("nft: a run that fails changes nothing and names the operation that failed") {
  Director director;
  const auto forward = example();
  director.must({model::CreateForward{.forward = forward, .replaces = false}});
  const auto outcome = director.execute(
      {model::SetSignal{.signal = {ip("192.0.2.114")},
                        .from = std::nullopt,
                        .to = {.server = ip("192.0.2.14"), .join_only = false}},
       model::RemoveSignal{.signal = {ip("192.0.2.199")},
                           .from = {.server = ip("192.0.2.19"), .join_only = false}}});
  CHECK(outcome.done == 0);
  REQUIRE(outcome.error);
  CHECK(outcome.error->code() == Errc::not_found);
  CHECK(outcome.error->text() ==
        "nft: remove signal address 192.0.2.199: element of signal4: No such file or directory "
        "(ENOENT)");
  CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
}

TEST_CASE("nft: a table that stands already is a conflict, unless it is to be replaced") {
  Director director;
  run("nft add table netdev lbctl; nft add chain netdev lbctl old");
  const auto outcome =
      director.execute({model::CreateForward{.forward = example(), .replaces = false}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->code() == Errc::conflict);
  CHECK(!director.observe().intact);
  director.must({model::CreateForward{.forward = example(), .replaces = true}});
  CHECK(director.observe() == model::NftState{.forward = example(), .intact = true});
  // Nothing there to replace is no error either: somebody flushed the ruleset meanwhile.
  run("nft flush ruleset");
  director.must({model::CreateForward{.forward = example(), .replaces = true}});
  CHECK(director.observe().intact);
}

TEST_CASE("nft: an unknown device is named") {
  Director director;
  auto forward = example();
  forward.client_devices = {"eth7"};
  const auto outcome =
      director.execute({model::CreateForward{.forward = forward, .replaces = false}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() == "nft: find device eth7: No such device (ENODEV)");
  CHECK(outcome.error->code() == Errc::not_found);
}

TEST_CASE("nft: every kind of hand edit is seen") {
  const std::vector<std::string> edits{
      "add rule netdev lbctl forward accept",
      "insert rule netdev lbctl guard counter",
      "flush chain netdev lbctl guard",
      "add chain netdev lbctl mine",
      "add counter netdev lbctl mine",
      "add set netdev lbctl mine { type ipv4_addr; }",
      "add element netdev lbctl icmp4 { redirect }",
      "delete element netdev lbctl icmp6 { packet-too-big }",
      "delete element netdev lbctl icmp_error4 { time-exceeded }",
      "delete element netdev lbctl signal_error4 { 192.0.2.100 . 44301 }",
      "add table netdev lbctl { flags dormant; }",
      "chain netdev lbctl forward { policy drop; }",
  };
  for (const std::string& edit : edits) {
    CAPTURE(edit);
    Director director;
    director.must({model::CreateForward{.forward = example(), .replaces = false}});
    REQUIRE(director.observe().intact);
    run("nft '" + edit + "'");
    const auto seen = director.observe();
    CHECK(!seen.intact);
    CHECK(seen.forward == example());
    director.must({model::CreateForward{.forward = example(), .replaces = true}});
    CHECK(director.observe().intact);
  }
}

TEST_CASE("nft: a rule in which one number differs, or a chain at another priority, is seen") {
  const std::vector<std::pair<std::string, std::string>> edits{
      {"ttl > 1", "ttl > 2"},
      {"subtype 1 ", "subtype 2 "},
      {"@signal4 device \"eth0\"", "@signal4 device \"eth1\""},
      {"filter - 10", "filter - 9"},
      {"meta pkttype host ", ""},
      {"join_only4 tcp flags syn / syn,ack counter", "join_only4 tcp flags syn / syn,ack"},
  };
  for (const auto& [from, to] : edits) {
    CAPTURE(from);
    Director director;
    director.must({model::CreateForward{.forward = example(), .replaces = false}});
    std::string text = listing();
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    run("nft flush ruleset; nft -f - <<'RULES'\n" + text + "RULES");
    CHECK(!director.observe().intact);
    text.replace(at, to.size(), from);
    run("nft flush ruleset; nft -f - <<'RULES'\n" + text + "RULES");
    CHECK(director.observe().intact);
  }
}

TEST_CASE("nft: addresses changed by hand show as addresses, the rules stay intact") {
  Director director;
  director.must({model::CreateForward{.forward = example(), .replaces = false}});
  run("nft add element netdev lbctl signal4 '{ 192.0.2.115 : 192.0.2.15 }'");
  auto expected = example();
  expected.addresses[{ip("192.0.2.115")}] = {.server = ip("192.0.2.15"), .join_only = false};
  CHECK(director.observe() == model::NftState{.forward = expected, .intact = true});
}

TEST_CASE("nft: a device that went away and came back leaves a table that is not intact") {
  Director director;
  auto forward = example();
  forward.client_devices = {"eth0", "eth1"};
  director.must({model::CreateForward{.forward = forward, .replaces = false}});
  SUBCASE("the clients' device") {
    run("ip link del eth1");
    const auto without = director.observe();
    CHECK(!without.intact);
    CHECK(without.forward->client_devices == std::set<std::string>{"eth0"});
    // Up to 6.15 the hook is lost; from 6.16 on the kernel hooks the chain to the new device.
    run("ip link add eth1 type veth peer name peer1");
    const auto again = director.observe();
    CHECK(again.intact == again.forward->client_devices.contains("eth1"));
  }
  SUBCASE("the servers' device") {
    run("ip link del eth0 && ip link add eth0 type veth peer name peer0");
    const auto without = director.observe();
    CHECK(!without.intact);
    CHECK(without.forward->server_device.empty());
  }
  director.must({model::CreateForward{.forward = forward, .replaces = true}});
  CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
}

TEST_CASE("nft: foreign tables are not touched") {
  Director director;
  run("nft add table netdev other; nft add chain netdev other c; "
      "nft add rule netdev other c counter accept; nft add table ip lbctl; "
      "nft add set ip lbctl signal4 '{ type ipv4_addr; }'");
  const std::string before = run("nft list ruleset");
  CHECK(director.observe() == model::NftState{});
  director.must({model::CreateForward{.forward = example(), .replaces = false}});
  CHECK(director.observe() == model::NftState{.forward = example(), .intact = true});
  director.must({model::CreateForward{.forward = example(), .replaces = true}});
  director.must({model::RemoveForward{}});
  CHECK(run("nft list ruleset") == before);
}

namespace {

/// `count` addresses of each family.
model::SignalForward large(unsigned count) {
  auto forward = example();
  for (unsigned i = 0; i < count; ++i) {
    const auto v4 = fmt::format("10.{}.{}.{}", 1 + i / 65536, i / 256 % 256, i % 256);
    const auto v6 = fmt::format("2001:db8:200::{:x}", i + 1);
    forward.addresses[{ip(v4.c_str())}] = {.server = ip("192.0.2.11"), .join_only = i % 2 == 0};
    forward.addresses[{ip(v6.c_str())}] = {.server = ip("2001:db8:100::11"), .join_only = true};
  }
  return forward;
}

}  // namespace

TEST_CASE("nft: thousands of addresses load in one transaction and are read back") {
  Director director;
  const auto forward = large(5000);
  director.must({model::CreateForward{.forward = forward, .replaces = false}});
  CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
}

TEST_CASE("nft: thousands of operations are one transaction too") {
  Director director;
  director.must({model::CreateForward{.forward = example(), .replaces = false}});
  const auto forward = large(1000);
  std::vector<model::Action> actions;
  for (const auto& [signal, target] : forward.addresses)
    if (!example().addresses.contains(signal))
      actions.emplace_back(model::SetSignal{.signal = signal, .from = std::nullopt, .to = target});
  SUBCASE("all of them") {
    director.must(actions);
    CHECK(director.observe() == model::NftState{.forward = forward, .intact = true});
  }
  SUBCASE("or none, if the last fails") {
    actions.emplace_back(
        model::RemoveSignal{.signal = {ip("192.0.2.250")}, .from = {ip("192.0.2.11"), false}});
    const auto outcome = director.execute(actions);
    CHECK(outcome.error);
    CHECK(outcome.done == 0);
    CHECK(director.observe() == model::NftState{.forward = example(), .intact = true});
  }
}
