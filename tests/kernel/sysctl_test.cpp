// Written with our code and read with sysctl(8), and the other way round.
#include <doctest/doctest.h>

#include "lbctl/kernel/sysctl.hpp"
#include "namespace.hpp"

namespace {

using namespace lbctl;
using tests::Inside;
using tests::Namespace;
using tests::run;

struct Node {
  Namespace ns;
  Inside inside{ns};
  std::unique_ptr<kernel::Backend> backend = std::move(kernel::open_sysctl().value());

  Node() { run("ip link add eth0.100 type veth peer name peer0"); }
  Result<model::SysctlState> observe(std::set<std::string> paths) {
    model::Scope scope;
    scope.sysctls = std::move(paths);
    model::Observed seen;
    if (auto read = backend->observe(scope, seen); !read) return fail(std::move(read).error());
    return seen.state.sysctls;
  }
  kernel::Outcome set(std::vector<std::pair<std::string, std::string>> values) {
    std::vector<model::Operation> operations;
    for (auto& [path, to] : values)
      operations.push_back({.phase = model::Phase::set_sysctl,
                            .action = model::SetSysctl{.path = path, .from = "", .to = to},
                            .why = model::Reason::differs});
    return backend->execute(operations);
  }
};

const std::string arp_ignore = "net/ipv4/conf/eth0.100/arp_ignore";

}  // namespace

TEST_CASE("sysctl: set by us, read by sysctl(8); a device name may hold a dot") {
  Node node;
  const auto outcome = node.set({{arp_ignore, "1"}, {"net/ipv4/ping_group_range", "5 7"}});
  REQUIRE(!outcome.error);
  CHECK(outcome.done == 2);
  CHECK(run("sysctl -n net.ipv4.conf.eth0/100.arp_ignore") == "1\n");
  CHECK(run("sysctl -n net.ipv4.ping_group_range") == "5\t7\n");
}

TEST_CASE("sysctl: set by sysctl(8), read by us; fields have one space between them") {
  Node node;
  run("sysctl -w net.ipv4.conf.eth0/100.arp_ignore=2 net.ipv4.ping_group_range='3 4'");
  const auto seen = node.observe({arp_ignore, "net/ipv4/ping_group_range"});
  REQUIRE(seen.has_value());
  CHECK(*seen == model::SysctlState{{arp_ignore, "2"}, {"net/ipv4/ping_group_range", "3 4"}});
}

TEST_CASE("sysctl: another namespace's value is another value") {
  Node node;
  REQUIRE(!node.set({{"net/ipv4/ping_group_range", "1 2"}}).error);
  const Namespace other;
  const Inside there(other);
  CHECK(node.observe({"net/ipv4/ping_group_range"})->at("net/ipv4/ping_group_range") == "1 0");
}

TEST_CASE("sysctl: what the kernel lacks is left out when reading") {
  Node node;
  const auto seen = node.observe({arp_ignore, "net/ipv4/conf/eth9/arp_ignore", "net/no/such"});
  REQUIRE(seen.has_value());
  CHECK(seen->size() == 1);
}

TEST_CASE("sysctl: what cannot be set stops the run and is named") {
  Node node;
  const auto missing = node.set({{arp_ignore, "1"},
                                 {"net/ipv4/conf/eth9/arp_ignore", "1"},
                                 {"net/ipv4/ping_group_range", "5 7"}});
  CHECK(missing.done == 1);
  REQUIRE(missing.error);
  CHECK(missing.error->code() == Errc::not_found);
  CHECK(missing.error->hint() == "ip link show eth9");
  CHECK(run("sysctl -n net.ipv4.ping_group_range") == "1\t0\n");

  const auto refused = node.set({{arp_ignore, "many"}});
  REQUIRE(refused.error);
  CHECK(refused.error->text() ==
        "sysctl net.ipv4.conf.eth0/100.arp_ignore: set to \"many\": Invalid argument (EINVAL)");
  CHECK(refused.error->code() == Errc::invalid);
}

TEST_CASE("sysctl: nothing outside /proc/sys is opened") {
  Node node;
  // A file of its own, for the day on which this fails.
  std::string file = run("mktemp");
  file.pop_back();
  run("echo kept > " + file);
  for (const std::string& path : {"../.." + file, file, "net/../../.." + file}) {
    CAPTURE(path);
    const auto read = node.observe({path});
    CHECK((!read && read.error().code() == Errc::invalid));
    const auto written = node.set({{path, "lost"}});
    CHECK((written.error && written.error->code() == Errc::invalid));
  }
  CHECK(run("cat " + file) == "kept\n");
  run("rm " + file);
}
