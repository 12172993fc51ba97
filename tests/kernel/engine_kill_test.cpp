// SIGKILL at every operation, over the real backends: the next apply completes, the ledger claims
// nothing that is not there, and down leaves the namespace as it was.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../../src/cli/session.hpp"
#include "../unit/engine/temp_dir.hpp"
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

/// Carries out `left` more operations, counted over all backends, and then kills the process.
class Deadly : public kernel::Backend {
 public:
  Deadly(kernel::Backend& real, std::size_t& left) : real_(real), left_(left) {}
  model::Subsystem subsystem() const override { return real_.subsystem(); }
  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    return real_.observe(scope, out);
  }
  kernel::Outcome execute(std::span<const model::Operation> run) override {
    const bool dies = left_ < run.size();
    kernel::Outcome outcome = real_.execute(run.first(std::min(left_, run.size())));
    if (dies) ::raise(SIGKILL);
    left_ -= run.size();
    return outcome;
  }

 private:
  kernel::Backend& real_;
  std::size_t& left_;
};

/// A namespace with eth0, a state directory, and the example file resolved for one node.
struct Node {
  explicit Node(const std::string& name) {
    // No link-local addresses: they appear, and stop being tentative, when they please.
    tests::run(
        "ip link add eth0 type veth peer name peer0\n"
        "for dev in eth0 peer0; do ip link set $dev addrgenmode none; ip link set $dev up; done\n"
        "ip addr add 192.0.2.9/24 dev eth0\n"
        "ip addr add 2001:db8:100::9/64 dev eth0 nodad");
    const auto loaded = config::read_file(LBCTL_SOURCE_DIR "/etc/lbctl.toml");
    model::NodeFacts facts;
    facts.xdp_program = "any";
    auto resolved = config::resolve(*loaded.config, name, facts);
    // Steering needs pins in a BPF file system; the command's own tests show it (tests/cli).
    resolved->state.xdp = {};
    goal.want = std::move(resolved->state);
  }

  std::size_t apply_all() {
    auto kernel = cli::RealKernel::open(temp.path);
    auto state = engine::StateDir::open(temp.path);
    auto report = engine::Engine(kernel->backends()).apply(goal, *state, never);
    REQUIRE(report);
    if (report->error) FAIL(report->error->text());
    CHECK(report->ok());
    return report->operations.size();
  }

  engine::Report down() {
    auto kernel = cli::RealKernel::open(temp.path);
    auto state = engine::StateDir::open(temp.path);
    auto report = engine::Engine(kernel->backends()).apply(engine::nothing_left(), *state, never);
    REQUIRE(report);
    return std::move(*report);
  }

  /// The fork dies at operation `n` of `what`; true if it did.
  bool killed_at(std::size_t n, const engine::Goal& what) const {
    const pid_t child = ::fork();
    if (child == 0) {
      auto kernel = cli::RealKernel::open(temp.path);
      auto state = engine::StateDir::open(temp.path);
      std::size_t left = n;
      std::vector<std::unique_ptr<Deadly>> deadly;
      std::vector<kernel::Backend*> backends;
      for (kernel::Backend* real : kernel->backends()) {
        deadly.push_back(std::make_unique<Deadly>(*real, left));
        backends.push_back(deadly.back().get());
      }
      const auto report = engine::Engine(backends).apply(what, *state, never);
      ::_exit(report && report->ok() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  /// Everything that the goal touches, as the kernel has it now.
  std::string dump() const {
    return tests::run(
               "ip addr show; ip route show table all; ip -6 route show table all; "
               "nft list ruleset; ip mptcp endpoint; ip mptcp limits; "
               "sysctl net.ipv4.conf.all net.mptcp") +
           tests::try_run("ipvsadm -Sn 2>/dev/null; sysctl net.ipv4.vs 2>/dev/null");
  }

  /// Every claim of the ledger is on something that the kernel has.
  void check_ledger() const {
    const auto ledger = engine::peek_ledger(temp.path);
    REQUIRE(ledger);
    auto kernel = cli::RealKernel::open(temp.path);
    const auto preview = engine::Engine(kernel->backends()).preview(goal, *ledger);
    REQUIRE(preview);
    CHECK(engine::settle(*ledger, goal.want, preview->split.ours) == *ledger);
  }

  TempDir temp;
  engine::Goal goal;
};

void kill_everywhere(const std::string& name) {
  const tests::Namespace netns;
  const tests::Inside inside(netns);
  Node node(name);
  const std::string before = node.dump();
  const std::size_t operations = node.apply_all();
  REQUIRE(operations > 4);
  CHECK(node.down().ok());
  REQUIRE(node.dump() == before);

  for (std::size_t n = 0; n < operations; ++n) {
    CAPTURE(n);
    CHECK(node.killed_at(n, node.goal));
    CHECK(node.apply_all() == operations - n);
    CHECK(node.apply_all() == 0);
    node.check_ledger();
    // A down has fewer operations than an apply (a service goes as a whole), so the last rounds
    // find it complete.
    (void)node.killed_at(n, engine::nothing_left());
    CHECK(node.down().ok());
    CHECK(node.dump() == before);
    CHECK(*engine::peek_ledger(node.temp.path) == engine::Ledger{});
  }
  MESSAGE(name, ": killed at each of ", operations, " operations, converged each time");
}

bool has_ip_vs() {
  const tests::Namespace netns;
  const tests::Inside inside(netns);
  return tests::try_run("ipvsadm -Sn >/dev/null 2>&1 && echo yes") == "yes\n";
}

}  // namespace

TEST_CASE("a real server killed at any operation: the next apply completes") {
  kill_everywhere("rs1");
}

TEST_CASE("a director killed at any operation: the next apply completes") {
  if (!has_ip_vs()) {
    std::puts("skipped: this kernel has no IPVS; the lab runs the director's half");
    return;
  }
  kill_everywhere("dir1");
}
