// Which services a node mptcpizes, by which way, and what the hand has to say in it.
#include "files.hpp"
#include "lbctl/config/resolve.hpp"

using namespace lbctl;
using namespace lbctl::config;
using namespace lbctl::model;

namespace {

const std::string text = R"(
[cluster]
name = "c"
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11"]
interface = "eth0"
id = 1
mptcpize = ["nginx.service", "app@1.service"]
[servers.rs2]
address = ["192.0.2.12"]
interface = "eth0"
id = 2
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
scheduler = "mh"
scheduler_flags = ["mh-port", "mh-fallback"]
)";

NodeFacts machine(bool hook, bool library) {
  NodeFacts out;
  out.units = {.socket_hook = hook, .library = library, .by_hand = {}};
  return out;
}

using Units = std::map<std::string, MptcpizedUnit>;

Units units(const std::string& node, const NodeFacts& facts) {
  const auto desired = resolve(test::config_of(text), node, facts);
  REQUIRE(desired);
  return desired->state.units.mptcpized;
}

constexpr MptcpizedUnit by_bpf{MptcpWay::bpf, AskedBy::file, true};
constexpr MptcpizedUnit by_preload{MptcpWay::preload, AskedBy::file, true};
constexpr MptcpizedUnit by_hand{MptcpWay::preload, AskedBy::hand, true};

}  // namespace

TEST_CASE("resolve units: the better way that the machine has") {
  CHECK(units("rs1", machine(true, true)) ==
        Units{{"app@1.service", by_bpf}, {"nginx.service", by_bpf}});
  CHECK(units("rs1", machine(false, true)) ==
        Units{{"app@1.service", by_preload}, {"nginx.service", by_preload}});
  CHECK(units("rs2", machine(true, true)).empty());
  CHECK(units("dir1", machine(true, true)).empty());
}

TEST_CASE("resolve units: MPTCP must be on where services ask for it, and only there") {
  const auto config = test::config_of(text);
  CHECK(resolve(config, "rs1", machine(true, true))->state.sysctls.at("net/mptcp/enabled") == "1");
  CHECK_FALSE(
      resolve(config, "rs2", machine(true, true))->state.sysctls.contains("net/mptcp/enabled"));
  CHECK(mptcpizes(config, "rs1"));
  CHECK_FALSE(mptcpizes(config, "rs2"));
  CHECK_FALSE(mptcpizes(config, "dir1"));
}

TEST_CASE("resolve units: libmptcpwrap is needed where the hook is missing, and only there") {
  const auto config = test::config_of(text);
  CHECK(resolve(config, "rs1", machine(true, false)));
  CHECK(resolve(config, "rs2", machine(false, false)));
  const auto refused = resolve(config, "rs1", machine(false, false));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text() == "mptcpize nginx.service: libmptcpwrap is not installed");
  CHECK(refused.error().hint() == "apt install mptcpize");
}

TEST_CASE("resolve units: what was done by hand stays as it is, on any node") {
  NodeFacts facts = machine(true, true);
  facts.units.by_hand = {{"nginx.service", by_hand}, {"other.service", by_hand}};
  CHECK(units("rs1", facts) ==
        Units{{"app@1.service", by_bpf}, {"nginx.service", by_hand}, {"other.service", by_hand}});
  CHECK(units("dir1", facts) == facts.units.by_hand);
}
