// Plans for services that are to listen with MPTCP.
#include <doctest/doctest.h>

#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

constexpr MptcpizedUnit preload{MptcpWay::preload, AskedBy::file, true};
constexpr MptcpizedUnit bpf{MptcpWay::bpf, AskedBy::file, true};

NodeState with(std::map<std::string, MptcpizedUnit> units) {
  NodeState out;
  out.units.mptcpized = std::move(units);
  return out;
}

}  // namespace

TEST_CASE("plan: units are added, changed and restored, each with its way") {
  const NodeState want = with({{"a.service", bpf}, {"b.service", bpf}, {"d.service", preload}});
  const NodeState have = with({{"b.service", preload},
                               {"c.service", bpf},
                               {"d.service", {MptcpWay::preload, AskedBy::file, false}}});
  CHECK(plan::render(plan::diff(want, have)) ==
        "+ unit mptcpize a.service  bpf\n"
        "~ unit mptcpize b.service  preload -> bpf\n"
        "~ unit mptcpize d.service  preload, changed -> preload\n"
        "- unit mptcpize c.service  (not in the file)\n");
  CHECK(plan::diff(want, want).empty());
  CHECK(plan::to_json(plan::diff(want, {}))[0].dump() ==
        R"({"change":"add","subsystem":"unit","object":"mptcpize a.service","to":"bpf",)"
        R"("reason":"not_in_kernel"})");
}

TEST_CASE("plan: a unit gets its sockets after MPTCP is on, and loses them before it is off") {
  NodeState want = with({{"a.service", bpf}});
  want.sysctls["net/mptcp/enabled"] = "1";
  NodeState have;
  have.sysctls["net/mptcp/enabled"] = "0";
  CHECK(plan::render(plan::diff(want, have)) ==
        "~ sysctl net.mptcp.enabled  0 -> 1\n"
        "+ unit mptcpize a.service  bpf\n");
  CHECK(plan::render(plan::diff({}, want, {have.sysctls, {}})) ==
        "- unit mptcpize a.service  (not in the file)\n"
        "~ sysctl net.mptcp.enabled  1 -> 0  (not in the file)\n");
}

TEST_CASE("commands: lbctl itself is the command, and says whose wish it becomes") {
  std::string out;
  for (const std::string& line :
       plan::commands(plan::diff(with({{"a\\x2d.service", bpf}}), with({{"b.service", preload}}))))
    out += line + "\n";
  CHECK(out ==
        "# Services that listen with MPTCP; one that runs does when it is restarted.\n"
        "# These lines make it a wish of the hand, which no apply takes back.\n"
        "lbctl mptcpize --way bpf 'a\\x2d.service'\n"
        "lbctl mptcpize --undo b.service\n");
}
