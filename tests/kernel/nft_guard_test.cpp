// Limits, mptcp_only and the real server's guard: made by our code and read by nft, and back.
#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "lbctl/kernel/nft.hpp"
#include "namespace.hpp"
#include "rules_text.hpp"

namespace {

using namespace lbctl;
using model::EndpointKey;
using model::Port;
using tests::run;

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

const EndpointKey web4{ip("192.0.2.100"), Port{443}}, web6{ip("2001:db8:100::100"), Port{443}};

/// The example of rules/director-guard.nft.
model::SignalForward director_example() {
  model::SignalForward out{{"eth0"}, "eth0", {}, {}, {}};
  out.addresses[{ip("192.0.2.111")}] = {ip("192.0.2.11"), true};
  out.addresses[{ip("2001:db8:100::111")}] = {std::nullopt, true};
  out.mptcp_only = {web4, web6};
  out.limits["syn4_web"] = {{200, model::RateUnit::second, 400}, 32, {web4}};
  out.limits["syn6_web"] = {{200, model::RateUnit::second, 400}, 64, {web6}};
  out.limits["join4_web"] = {
      {10, model::RateUnit::minute, 10}, 24, {{ip("192.0.2.111"), Port{443}}}};
  return out;
}

/// The example of rules/server-guard.nft.
model::SignalForward server_example() {
  model::SignalForward out{{"eth0"}, "", {}, {}, {}};
  out.addresses[{ip("192.0.2.111")}] = {std::nullopt, true};
  out.addresses[{ip("2001:db8:100::111")}] = {std::nullopt, true};
  out.addresses[{ip("192.0.2.100"), Port{44301}}] = {std::nullopt, true};
  return out;
}

struct Node {
  tests::Namespace ns;
  tests::Inside inside{ns};
  std::unique_ptr<kernel::Backend> backend = std::move(kernel::open_nft().value());

  Node() { run("ip link add eth0 type veth peer name peer0 && ip link set eth0 up"); }
  model::NftState observe() {
    model::Scope scope;
    scope.nft = true;
    model::Observed seen;
    const auto read = backend->observe(scope, seen);
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    return seen.state.nft;
  }
  void create(const model::SignalForward& forward, bool replaces = false) {
    const std::vector<model::Operation> operations{
        {model::Phase::add_nft, model::CreateForward{forward, replaces}, {}}};
    const kernel::Outcome outcome = backend->execute(operations);
    REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
  }
};

void check_example(const std::string& name, const model::SignalForward& example) {
  CAPTURE(name);
  Node node;
  node.create(example);
  CHECK(tests::essence_of_file(name) == tests::essence(run("nft -s list table netdev lbctl")));
  CHECK(node.observe() == model::NftState{.forward = example, .intact = true});
  run("nft flush ruleset; nft -f " LBCTL_SOURCE_DIR "/rules/" + name);
  CHECK(node.observe() == model::NftState{.forward = example, .intact = true});
}

}  // namespace

TEST_CASE("nft guard: rules/director-guard.nft is what nft lists, and is read as intact") {
  check_example("director-guard.nft", director_example());
}

TEST_CASE("nft guard: rules/server-guard.nft is what nft lists, and is read as intact") {
  check_example("server-guard.nft", server_example());
}

TEST_CASE("nft guard: a rate, a source or a target changed by hand is seen") {
  const std::vector<std::pair<std::string, std::string>> edits{
      {"limit rate over 200/second burst 400 packets", "limit rate 200/second burst 400 packets"},
      {"mptcp missing", "mptcp exists"},
      {"update @syn4_web {", "add @syn4_web {"},
      {"dport @syn4_web_to tcp flags syn / syn,ack", "dport @syn4_web_to tcp flags syn"},
  };
  for (const auto& [from, to] : edits) {
    CAPTURE(from);
    Node node;
    node.create(director_example());
    std::string text = run("nft -s list table netdev lbctl");
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    run("nft flush ruleset; nft -f - <<'RULES'\n" + text + "RULES");
    CHECK(node.observe() != model::NftState{.forward = director_example(), .intact = true});
    node.create(director_example(), true);
    CHECK(node.observe() == model::NftState{.forward = director_example(), .intact = true});
  }
  // Other numbers are another limit, which the next plan replaces.
  Node node;
  node.create(director_example());
  std::string text = run("nft -s list table netdev lbctl");
  text.replace(text.find("rate over 10/minute"), 19, "rate over 20/minute");
  run("nft flush ruleset; nft -f - <<'RULES'\n" + text + "RULES");
  const auto seen = node.observe();
  CHECK(seen.intact);
  CHECK(seen.forward->limits.at("join4_web").rate.packets == 20);
}

TEST_CASE("nft guard: sources that packets put there take no part in what is compared") {
  Node node;
  node.create(director_example());
  run("nft add element netdev lbctl syn4_web '{ 198.51.100.7 limit rate over 200/second burst 400 "
      "packets }'");
  CHECK(node.observe() == model::NftState{.forward = director_example(), .intact = true});
}

TEST_CASE("nft guard: an address that is guarded by hand is one more address") {
  Node node;
  node.create(server_example());
  run("nft add element netdev lbctl join_only4 '{ 192.0.2.199 }'");
  const auto seen = node.observe();
  CHECK(seen.intact);
  CHECK(seen.forward->addresses.at({ip("192.0.2.199")}) ==
        model::ForwardTarget{std::nullopt, true});
}
