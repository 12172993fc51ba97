// Random pairs of files over the real backends, beside things of other people: from one to the
// other the kernel ends up as planned, theirs is never touched, and down leaves what was before.
// LBCTL_PAIRS says how many, LBCTL_SEED with which to begin: a failure names its seed.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "../../src/cli/session.hpp"
#include "../unit/engine/temp_dir.hpp"
#include "cluster.hpp"
#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/engine.hpp"
#include "lbctl/plan/render.hpp"
#include "namespace.hpp"

using namespace lbctl;

namespace {

bool never() {
  return false;
}

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

bool has_ip_vs() {
  const tests::Namespace netns;
  const tests::Inside inside(netns);
  return tests::try_run("ipvsadm -Sn >/dev/null 2>&1 && echo yes") == "yes\n";
}

/// Every kind of tunnel device that lbctl makes, and FOU; asked once, as it loads modules.
bool has_tunnels() {
  static const bool has = [] {
    const tests::Namespace netns;
    const tests::Inside inside(netns);
    const bool all =
        tests::try_run(
            "{ for k in 'ipip local 192.0.2.1' 'gre local 192.0.2.1' 'ip6tnl local 2001:db8::1' "
            "'ip6gre local 2001:db8::1'; do ip link add probe type $k && ip link del probe || "
            "exit; "
            "done; ip fou add port 5555 gue && echo yes; } 2>/dev/null") == "yes\n";
    if (!all)
      std::puts("skipped: this kernel lacks tunnel devices; the lab makes these pairs with them");
    return all;
  }();
  return has;
}

config::Config read(const std::string& text) {
  config::Loaded loaded = config::read_text(text, "random.toml");
  REQUIRE_MESSAGE(loaded.ok(), text);
  return std::move(*loaded.config);
}

/// A namespace with two devices and with objects of every kind that are not lbctl's: among them an
/// IPVS service on a VIP of the files, on a port that none of them names.
class Node {
 public:
  explicit Node(bool ip_vs) : ip_vs_(ip_vs) {
    has_tunnels();  // with its module a device such as tunl0 comes into every namespace
    // No link-local addresses: they appear, and stop being tentative, when they please.
    tests::run(
        "for n in 0 1; do ip link add eth$n type veth peer name peer$n; done\n"
        "ip link add dummy0 type dummy\n"
        "for d in eth0 peer0 eth1 peer1 dummy0; do\n"
        "  ip link set $d addrgenmode none; ip link set $d up; done\n"
        "ip addr add 192.0.2.9/24 dev eth0\n"
        "ip addr add 2001:db8:100::9/64 dev eth0 nodad\n"
        "ip addr add 198.51.100.9/32 dev lo; ip addr add 198.51.100.8/24 dev dummy0\n"
        "ip addr add 2001:db8:f::1/128 dev lo nodad\n"
        "ip route add 203.0.113.0/24 via 198.51.100.77 dev dummy0\n"
        "ip rule add from 198.51.100.9 table 77 priority 500\n"
        "ip mptcp endpoint add 192.0.2.9 subflow\n"
        "nft 'table inet other { map m { type ipv4_addr : ipv4_addr; elements = { 192.0.2.200 : "
        "192.0.2.11 }; }; chain c { type filter hook input priority 0; tcp dport 9 drop; }; }'\n"
        "nft 'table netdev theirs { chain c { type filter hook ingress device \"eth0\" priority "
        "5; ip daddr 192.0.2.111 accept; }; }'\n");
    if (ip_vs_)
      tests::run(
          "ipvsadm -A -u 198.51.100.1:53 -s rr\n"
          "ipvsadm -a -u 198.51.100.1:53 -r 192.0.2.11:53 -g -w 3\n"
          "ipvsadm -A -t 192.0.2.200:9 -s wlc -p 77\n"
          "ipvsadm -a -t 192.0.2.200:9 -r 192.0.2.12:9 -m -w 0");
    auto kernel = cli::RealKernel::open(temp_.path);
    REQUIRE(kernel);
    kernel_.emplace(std::move(*kernel));
    before_ = dump();
    theirs_ = theirs();
  }

  /// Applies the file; then there is nothing left to do. Says how many operations it took; a node
  /// that is not in the file stays as it is.
  std::size_t apply(const config::Config& config, const std::string& name) {
    model::NodeFacts facts;
    facts.xdp_program = "any";
    facts.units.library = true;
    auto desired = config::resolve(config, name, facts);
    if (!desired) return 0;
    // Steering needs pins in a BPF file system; tests/kernel/xdp_*.cpp and the lab have it.
    desired->state.xdp = {};
    desired->state.units = {};  // systemd's units are the machine's, not a namespace's
    if (!has_tunnels()) desired->state.tunnels = {};
    const engine::Goal goal{.want = std::move(desired->state), .patience = desired->patience};
    const std::size_t operations = run(goal);
    const auto ledger = state_->read_ledger();
    const auto preview = engine::Engine(kernel_->backends()).preview(goal, *ledger);
    REQUIRE(preview);
    CHECK(preview->refusals.empty());
    CHECK(plan::render(preview->plan.operations) == "");
    CHECK(preview->plan.leaving.empty());
    return operations;
  }

  std::size_t down() {
    const std::size_t operations = run(engine::nothing_left());
    CHECK(dump() == before_);
    CHECK(*state_->read_ledger() == engine::Ledger{});
    return operations;
  }

  void expect_theirs_untouched() const { CHECK(theirs() == theirs_); }

 private:
  std::size_t run(const engine::Goal& goal) {
    auto report = engine::Engine(kernel_->backends()).apply(goal, *state_, never);
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().text()));
    for (const Error& refusal : report->refusals)
      FAIL_CHECK(refusal.text());
    if (report->error) FAIL_CHECK(report->error->text());
    CHECK(plan::render(report->still_differs) == "");
    return report->done;
  }

  /// Everything that lbctl could touch.
  std::string dump() const {
    std::string out = tests::run(
        "ip addr show; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all\n"
        "nft list ruleset; ip mptcp endpoint; ip mptcp limits\n"
        "sysctl net.ipv4.conf.all net.mptcp");
    if (ip_vs_) out += tests::run("ipvsadm -Sn | sort; sysctl net.ipv4.vs");
    return out;
  }

  /// The foreign objects alone, while lbctl's stand beside them.
  std::string theirs() const {
    std::string out = tests::run(
        "ip addr show dev dummy0; ip addr show to 198.51.100.9; ip addr show to 192.0.2.9\n"
        "ip -6 addr show to 2001:db8:f::1; ip -6 addr show to 2001:db8:100::9\n"
        "ip rule; ip -6 rule; ip route; ip -6 route show 2001:db8:100::/64\n"
        "nft list table inet other; nft list table netdev theirs\n"
        "ip mptcp endpoint | grep 'subflow'");
    if (ip_vs_) out += tests::run("ipvsadm -Sn | grep -E '198.51.100.1:53|192.0.2.200:9 ' | sort");
    return out;
  }

  tests::Namespace netns_;
  tests::Inside inside_{netns_};
  TempDir temp_;
  bool ip_vs_;
  std::optional<cli::RealKernel> kernel_;
  Result<engine::StateDir> state_ = engine::StateDir::open(temp_.path);
  std::string before_, theirs_;
};

std::set<std::string> names_of(const config::Config& config, config::Role role) {
  std::set<std::string> out;
  if (role == config::Role::director)
    for (const auto& [name, director] : config.directors)
      out.insert(name);
  else
    for (const auto& [name, server] : config.servers)
      out.insert(name);
  return out;
}

/// One node of the role for each pair, another one from pair to pair.
void walk(config::Role role) {
  const std::uint64_t pairs = number_in("LBCTL_PAIRS", 5);
  const std::uint64_t start = number_in("LBCTL_SEED", 1);
  Node node(role == config::Role::director);
  std::size_t operations = 0;
  for (std::uint64_t seed = start; seed < start + pairs; ++seed) {
    CAPTURE(seed);
    const random::Pair pair = random::any_pair(seed);
    const config::Config first = read(pair.first);
    const config::Config second = read(pair.second);
    auto names = names_of(first, role);
    names.merge(names_of(second, role));
    const std::string name = random::Random(seed).pick(names);
    CAPTURE(name);
    operations += node.apply(first, name);
    operations += node.apply(second, name);
    node.expect_theirs_untouched();
    operations += node.down();
  }
  MESSAGE(config::name(role), ": ", pairs, " pairs, ", operations, " operations");
  CHECK(operations > pairs);
}

/// Every file of the golden plans, once each, on every node of the role.
void golden(config::Role role) {
  Node node(role == config::Role::director);
  std::set<std::string> seen;
  std::size_t applied = 0;
  for (const auto& dir : std::filesystem::directory_iterator(LBCTL_SOURCE_DIR "/tests/plan")) {
    const auto path = dir.path() / "lbctl.toml";
    std::ifstream file(path);
    if (!file) continue;
    CAPTURE(path.string());
    std::stringstream text;
    text << file.rdbuf();
    if (!seen.insert(text.str()).second) continue;
    const config::Config config = read(text.str());
    for (const std::string& name : names_of(config, role)) {
      CAPTURE(name);
      CHECK(node.apply(config, name) != 0);
      node.expect_theirs_untouched();
      node.down();
      ++applied;
    }
  }
  CHECK(applied != 0);
}

bool skips_director() {
  if (has_ip_vs()) return false;
  std::puts("skipped: this kernel has no IPVS; the lab runs the director's half");
  return true;
}

}  // namespace

TEST_CASE("a real server, from one random file to another: as planned, and nothing else") {
  walk(config::Role::real_server);
}

TEST_CASE("a director, from one random file to another: as planned, and nothing else") {
  if (!skips_director()) walk(config::Role::director);
}

TEST_CASE("a real server, the files of the golden plans: the first preview after apply is empty") {
  golden(config::Role::real_server);
}

TEST_CASE("a director, the files of the golden plans: the first preview after apply is empty") {
  if (!skips_director()) golden(config::Role::director);
}
