#include "walk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "lbctl/config/resolve.hpp"
#include "lbctl/plan/plan.hpp"
#include "lbctl/plan/render.hpp"

namespace lbctl::random {

using namespace model;
using engine::Goal;

namespace {

bool never() {
  return false;
}

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

UnixTime later(UnixTime now, std::uint32_t seconds) {
  return UnixTime{number(now) + seconds};
}

/// Longer than any patience of a file.
constexpr std::uint32_t for_good = 8 * 24 * 3600;

/// A node before lbctl, with things of other people on it: also a service on a VIP of the files, on
/// a port that none of them names, and a device with a program.
NodeState make_used_before() {
  NodeState out;
  for (const char* path :
       {"net/ipv4/vs/expire_nodest_conn", "net/ipv4/vs/expire_quiescent_template",
        "net/ipv4/conf/all/arp_ignore", "net/ipv4/conf/all/arp_announce", "net/other"})
    out.sysctls[path] = "0";
  for (const std::string device : {"eth0", "eth1", "eth2"}) {
    out.sysctls["net/ipv4/conf/" + device + "/forwarding"] = "0";
    out.sysctls["net/ipv4/conf/" + device + "/send_redirects"] = "1";
    out.sysctls["net/ipv6/conf/" + device + "/accept_redirects"] = "1";
  }
  out.sysctls["net/ipv4/conf/all/send_redirects"] = "1";
  out.sysctls["net/ipv4/conf/all/rp_filter"] = "2";
  out.sysctls["net/ipv6/conf/all/forwarding"] = "0";
  for (const char* name : {"conn_reuse_mode", "conntrack"})
    out.sysctls[std::string("net/ipv4/vs/") + name] = "1";
  out.sysctls["net/ipv4/vs/drop_entry"] = "0";
  out.sysctls["net/ipv4/vs/sync_ports"] = "1";
  out.sysctls["net/ipv4/vs/sync_threshold"] = "3 50";
  out.ipvs_node.timeouts = {.tcp = 900, .tcp_fin = 120, .udp = 300};
  out.sysctls["net/mptcp/checksum_enabled"] = "0";
  out.sysctls["net/mptcp/add_addr_timeout"] = "120";
  out.sysctls["net/mptcp/stale_loss_cnt"] = "4";
  out.sysctls["net/mptcp/enabled"] = "1";
  out.sysctls["net/mptcp/allow_join_initial_addr_port"] = "1";
  out.ipvs[{ip("198.51.100.1"), L4::udp, Port{53}}] = {
      .scheduler = "rr", .destinations = {{{ip("192.0.2.11"), Port{53}}, {Weight{3}}}}};
  out.ipvs[{ip("192.0.2.200"), L4::tcp, Port{9}}] = {
      .scheduler = "mh", .destinations = {{{ip("192.0.2.11"), Port{9}}, {Weight{0}}}}};
  out.addresses = {{{"eth0", ip("192.0.2.9"), 24}, {}},
                   {{"dummy0", ip("198.51.100.9"), 32}, {}},
                   {{"lo", ip("2001:db8:f::1"), 128}, {3, false}}};
  out.mptcp.endpoints = {{{ip("192.0.2.9"), Port{0}}, {.subflow = true}}};
  out.mptcp.limits = MptcpLimits{};
  out.xdp.foreign = {{"eth7", "someone"}};
  return out;
}

const NodeState& used_before() {
  static const NodeState made = make_used_before();
  return made;
}

NodeFacts facts_for(const config::Config& config, Random& random) {
  NodeFacts out;
  out.xdp_program = "digest";
  for (const auto& [name, server] : config.servers)
    if (random.chance(70))
      out.neighbours[server.addresses.front()] = {
          {2, 0, 0, 0, 0, static_cast<std::uint8_t>(server.id.low)}};
  return out;
}

}  // namespace

Walk::Walk(const std::string& node, const config::Config* first, const config::Config* second,
           std::uint64_t seed, Tally& tally)
    : random_(seed),
      tally_(tally),
      engine_(kernel_.backends(), [this] { return now_; }),
      state_(engine::StateDir::open(temp_.path)),
      fails_(random_.chance(30)),
      has_connections_(random_.chance(60)) {
  const auto goal = [&](const config::Config* config) -> std::optional<Goal> {
    auto desired = config::resolve(*config, node, facts_for(*config, random_));
    if (!desired) return std::nullopt;
    return Goal{.want = std::move(desired->state), .patience = desired->patience};
  };
  first_ = goal(first);
  second_ = goal(second);
  kernel_.state = used_before();
  ++tally_.walks;
}

engine::Report Walk::apply(const Goal& goal) {
  auto report = engine_.apply(goal, *state_, never);
  REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().text()));
  tally_.operations += report->done;
  return std::move(*report);
}

void Walk::fail_once(const Goal& goal, std::size_t at) {
  const NodeState before = kernel_.state;
  const auto ledger = state_->read_ledger();
  kernel_.fail_at = kernel_.executed + at;
  const auto more = std::exchange(kernel_.about_to, nullptr);  // they would be kept
  const auto report = apply(goal);
  kernel_.about_to = more;
  kernel_.fail_at.reset();
  if (!report.error) return;  // fewer operations than that, after the connections were counted
  ++tally_.failures;
  CHECK_FALSE(report.revert_error);
  CAPTURE(plan::render(report.operations));
  const bool adding = report.operations.at(report.done).phase <= Phase::drain_ipvs;
  if (!adding) return;
  ++tally_.reverted;
  CHECK(kernel_.state == before);
  CHECK(to_text(*state_->read_ledger()) == to_text(*ledger));
  // Nothing of it may count when the same file is tried again long afterwards.
  now_ = later(now_, for_good);
}

void Walk::arrive(const Goal& goal) {
  if (fails_) {
    const auto preview = engine_.preview(goal, *state_->read_ledger());
    REQUIRE(preview);
    if (const std::size_t operations = preview->plan.operations.size(); operations != 0)
      fail_once(goal, random_.below(operations));
  }
  const auto report = apply(goal);
  CHECK(report.refusals.empty());
  CHECK_MESSAGE(!report.error, (report.error ? report.error->text() : ""));
  CHECK(plan::render(report.still_differs) == "");
}

void Walk::expect_nothing_to_do(const Goal& goal) {
  const auto preview = engine_.preview(goal, *state_->read_ledger());
  REQUIRE(preview);
  CHECK(plan::render(preview->plan.operations) == "");
}

void Walk::start_connections() {
  for (const auto& [service, settings] : kernel_.state.ipvs)
    for (const auto& [to, destination] : settings.destinations) {
      if (!random_.chance(40)) continue;
      // An active connection, or one that waits for its end.
      const auto count = static_cast<std::uint32_t>(random_.between(0, 1));
      kernel_.counters[{service, to}] = {.active_connections = count,
                                         .inactive_connections = 1 - count};
      ++tally_.connections;
    }
  for (const auto& [key, settings] : kernel_.state.addresses) {
    if (!random_.chance(40)) continue;
    kernel_.sockets[key.address] = 1;
    ++tally_.connections;
  }
}

/// Until the moment in which its weight goes to 0 a destination may get another connection.
void Walk::let_more_begin() {
  kernel_.about_to = [this](const Action& action) {
    const auto* edit = std::get_if<EditDestination>(&action);
    if (edit == nullptr || number(edit->from.weight) == 0 || !random_.chance(30)) return;
    if (!kernel_.counters
             .try_emplace({edit->service, edit->key},
                          DestinationCounters{.active_connections = 1, .inactive_connections = 0})
             .second)
      return;
    ++tally_.begun;
  };
}

void Walk::expect_no_cut() {
  CHECK(kernel_.cut.empty());
  CHECK(kernel_.cut_addresses.empty());
}

void Walk::expect_used_stand(const Goal& goal, const NodeState& earlier) {
  const auto in = [](const NodeState& state) {
    return [&state](const IpAddress& address) {
      return std::ranges::any_of(state.addresses,
                                 [&](const auto& entry) { return entry.first.address == address; });
    };
  };
  const auto stands = in(kernel_.state), stood = in(earlier), wanted = in(goal.want);
  for (const auto& [place, counters] : kernel_.counters) {
    const auto& [service, to] = place;
    CAPTURE(service.text());
    CAPTURE(to.text());
    const auto it = kernel_.state.ipvs.find(service);
    REQUIRE(it != kernel_.state.ipvs.end());
    const auto destination = it->second.destinations.find(to);
    REQUIRE(destination != it->second.destinations.end());
    if (used_before().ipvs.contains(service)) continue;
    const auto want = goal.want.ipvs.find(service);
    const bool stays_in_use =
        want != goal.want.ipvs.end() && want->second.destinations.contains(to);
    if (stays_in_use) continue;  // where its VIP stands is for the file to say
    if (stood(service.address)) CHECK(stands(service.address));
    // By mark: which VIPs have connections nobody knows, so all of them stay.
    if (service.fwmark != 0 && earlier.nft.marks)
      for (const auto& [key, mark] : *earlier.nft.marks)
        if (mark.value == service.fwmark && key.address.family() == service.address.family() &&
            stood(key.address))
          CHECK(stands(key.address));
    CHECK(number(destination->second.weight) == 0);
    ++tally_.stayed;
    if (!earlier.nft.forward) continue;
    for (const auto& [signal, target] : earlier.nft.forward->addresses) {
      if (target.server != to.address) continue;
      REQUIRE(kernel_.state.nft.forward);
      REQUIRE(kernel_.state.nft.forward->addresses.contains(signal));
      const bool retargeted =
          goal.want.nft.forward && goal.want.nft.forward->addresses.contains(signal);
      if (!retargeted) CHECK(kernel_.state.nft.forward->addresses.at(signal) == target);
    }
  }
  // With the address goes its endpoint. One for a port of a VIP that stays goes with the file.
  for (const auto& [address, count] : kernel_.sockets) {
    CHECK(stands(address));
    for (const auto& [key, endpoint] : earlier.mptcp.endpoints)
      if (key.address == address && (number(key.port) == 0 || !wanted(address)))
        CHECK(kernel_.state.mptcp.endpoints.contains(key));
  }
}

/// From the first file to the second, while connections last.
void Walk::leave(const Goal& goal) {
  const NodeState earlier = kernel_.state;
  if (has_connections_) {
    start_connections();
    let_more_begin();
  }
  arrive(goal);
  kernel_.about_to = nullptr;
  expect_no_cut();
  expect_used_stand(goal, earlier);
  expect_nothing_to_do(goal);
  const UnixTime since = now_;

  // Back and forth: what comes back is whole again, and its time starts anew when it leaves again.
  if (first_ && random_.chance(20)) {
    now_ = later(now_, 1);
    apply(*first_);
    for (const auto& [key, service] : first_->want.ipvs)
      CHECK(kernel_.state.ipvs.at(key) == service);
    return leave(goal);
  }

  // A moment before the first deadline nothing that is used has gone.
  const std::uint32_t shortest = std::min(goal.patience->tcp, goal.patience->udp);
  now_ = later(since, shortest - 1);
  CHECK(apply(goal).ok());
  expect_no_cut();
  expect_used_stand(goal, earlier);

  // Some come to their end, and one count later their destinations go.
  std::erase_if(kernel_.counters, [&](const auto&) { return random_.chance(30); });
  std::erase_if(kernel_.sockets, [&](const auto&) { return random_.chance(30); });
  CHECK(apply(goal).ok());
  expect_no_cut();
  expect_used_stand(goal, earlier);
  expect_nothing_to_do(goal);

  // Past the deadlines of one protocol: the other's are not touched.
  now_ = later(since, shortest);
  CHECK(apply(goal).ok());
  for (const DestinationId& id : kernel_.cut) {
    const bool udp = id.service.protocol == L4::udp;
    CHECK((udp ? goal.patience->udp : goal.patience->tcp) == shortest);
  }
  if (goal.patience->tcp != shortest) CHECK(kernel_.cut_addresses.empty());
}

/// What this goal gives on a node that had nothing of lbctl's.
NodeState Walk::alone(const Goal& goal) const {
  TempDir temp;
  fakes::FakeKernel fresh;
  fresh.state = used_before();
  auto state = engine::StateDir::open(temp.path);
  const auto report = engine::Engine(fresh.backends()).apply(goal, *state, never);
  REQUIRE(report);
  CHECK(report->ok());
  return fresh.state;
}

/// Past all deadlines: nothing is left of what was before, and nothing else has changed.
void Walk::finish(const Goal& goal) {
  now_ = later(now_, for_good);
  CHECK(apply(goal).ok());
  const auto ledger = state_->read_ledger();
  const auto preview = engine_.preview(goal, *ledger);
  REQUIRE(preview);
  CHECK(plan::render(preview->plan.operations) == "");
  CHECK(preview->plan.leaving.empty());
  CHECK(ledger->leaving.empty());
  CHECK(kernel_.state == alone(goal));
}

void Walk::go() {
  for (const auto& goal : {first_, second_})
    if (goal) {
      leave(*goal);
      finish(*goal);
    }
  const auto down = apply(engine::nothing_left());
  CHECK(down.ok());
  CHECK(kernel_.state == used_before());
  CHECK(*state_->read_ledger() == engine::Ledger{});
  tally_.cut += kernel_.cut.size() + kernel_.cut_addresses.size();
}

}  // namespace lbctl::random
