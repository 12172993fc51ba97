// Firewall marks: what a plan does with them, and what stays for connections of a service by mark.
#include <doctest/doctest.h>

#include "lbctl/plan/commands.hpp"
#include "lbctl/plan/plan.hpp"
#include "lbctl/plan/render.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

PortRange ports(std::uint16_t first, std::uint16_t last) {
  return {Port{first}, Port{last}};
}

const IpAddress vip = ip("192.0.2.100"), other_vip = ip("192.0.2.101");
const MarkKey https{vip, L4::tcp, ports(443, 443)};
const MarkKey high{vip, L4::tcp, ports(8000, 8100)};
const DestinationKey rs1{ip("192.0.2.11"), {}}, rs2{ip("192.0.2.12"), {}};
const ServiceKey seven = fwmark_service(7, Family::v4);

NodeState with(Marks marks) {
  NodeState out;
  out.nft.marks = std::move(marks);
  return out;
}

std::string plan_text(const NodeState& want, const NodeState& have) {
  return plan::render(plan::diff(want, have));
}

/// A service by mark with two servers and two VIPs.
NodeState marked() {
  NodeState out = with({{https, 7}, {{other_vip, L4::tcp, all_ports}, 7}});
  out.ipvs[seven] = {.scheduler = "rr", .destinations = {{rs1, {Weight{1}}}, {rs2, {Weight{1}}}}};
  out.addresses = {{{"eth0", vip, 32}, {rtnl_protocol, true}},
                   {{"eth0", other_vip, 32}, {rtnl_protocol, true}}};
  return out;
}

std::string made(const NodeState& want, const NodeState& have, std::uint32_t connections,
                 std::int64_t now = 1000, const Leaving& recorded = {}) {
  Observed observed;
  observed.ipvs_counters[{seven, rs1}].active_connections = connections;
  const plan::Before before;
  const Drains asked;
  const auto plan = plan::make({.want = want,
                                .have = have,
                                .observed = observed,
                                .before = before,
                                .recorded = recorded,
                                .asked = asked,
                                .now = UnixTime{now}});
  return plan::render(plan.operations);
}

}  // namespace

TEST_CASE("marks: the service stands before the marks, the marks before the VIP") {
  NodeState want = with({{https, 7}, {high, 7}, {{vip, L4::udp, all_ports}, 7}});
  want.ipvs[seven] = {.scheduler = "rr", .destinations = {{rs1, {Weight{1}}}}};
  want.addresses = {{{"eth0", vip, 32}, {rtnl_protocol, true}}};
  CHECK(plan_text(want, {}) ==
        "+ ipvs fwmark 7 IPv4  scheduler rr\n"
        "+ ipvs fwmark 7 IPv4 -> 192.0.2.11:0  dr weight 1\n"
        "+ nft table inet lbctl  firewall marks at prerouting\n"
        "+ nft mark tcp 192.0.2.100:443  7\n"
        "+ nft mark tcp 192.0.2.100:8000-8100  7\n"
        "+ nft mark udp 192.0.2.100, all ports  7\n"
        "+ address 192.0.2.100/32 dev eth0  announced\n");
  CHECK(plan_text({}, want) ==
        "- nft table inet lbctl  (not in the file)\n"
        "- address 192.0.2.100/32 dev eth0  (not in the file)\n"
        "- ipvs fwmark 7 IPv4  (not in the file)\n");
}

TEST_CASE("marks: what overlaps the new goes before it, everything else before servers drain") {
  CHECK(plan_text(with({{https, 8}, {{vip, L4::tcp, ports(8050, 8200)}, 7}}),
                  with({{https, 7}, {high, 7}, {{other_vip, L4::tcp, all_ports}, 7}})) ==
        "- nft mark tcp 192.0.2.100:8000-8100  (not in the file)\n"
        "~ nft mark tcp 192.0.2.100:443  7 -> 8\n"
        "+ nft mark tcp 192.0.2.100:8050-8200  7\n"
        "- nft mark tcp 192.0.2.101, all ports  (not in the file)\n");
  CHECK(plan_text(with({{{vip, L4::tcp, all_ports}, 7}}), with({{https, 7}, {high, 7}})) ==
        "- nft mark tcp 192.0.2.100:443  (not in the file)\n"
        "- nft mark tcp 192.0.2.100:8000-8100  (not in the file)\n"
        "+ nft mark tcp 192.0.2.100, all ports  7\n");
}

TEST_CASE("marks: a table that is not intact is made again with all of its marks") {
  NodeState have = with({{https, 7}});
  have.nft.marks_intact = false;
  CHECK(plan_text(with({{https, 7}}), have) ==
        "~ nft table inet lbctl  firewall marks at prerouting\n"
        "+ nft mark tcp 192.0.2.100:443  7\n");
}

TEST_CASE("marks: a port that gets a service of its own loses its mark before servers drain") {
  NodeState want;
  const ServiceKey web{vip, L4::tcp, Port{443}};
  want.ipvs[web] = {.scheduler = "rr", .destinations = {{{rs1.address, Port{443}}, {Weight{1}}}}};
  want.addresses = {{{"eth0", vip, 32}, {rtnl_protocol, true}}};
  NodeState have = want;
  have.ipvs = {{seven, {.scheduler = "rr", .destinations = {{rs1, {Weight{1}}}}}}};
  have.nft.marks = Marks{{https, 7}};
  CHECK(made(want, have, 3) ==
        "+ ipvs tcp 192.0.2.100:443  scheduler rr\n"
        "+ ipvs tcp 192.0.2.100:443 -> 192.0.2.11:443  dr weight 1\n"
        "- nft table inet lbctl  (not in the file)\n"
        "~ ipvs fwmark 7 IPv4 -> 192.0.2.11:0  weight 1 -> 0  (not in the file; 3 connections to "
        "drain)\n");
}

TEST_CASE("marks: the VIPs of a service by mark stay while its servers drain") {
  CHECK(made({}, marked(), 3) ==
        "- nft table inet lbctl  (not in the file)\n"
        "~ ipvs fwmark 7 IPv4 -> 192.0.2.11:0  weight 1 -> 0  (not in the file; 3 connections to "
        "drain)\n"
        "~ ipvs fwmark 7 IPv4 -> 192.0.2.12:0  weight 1 -> 0  (not in the file)\n"
        "- ipvs fwmark 7 IPv4 -> 192.0.2.12:0  (not in the file)\n");
  NodeState have = marked();
  have.nft.marks.reset();
  have.ipvs[seven].destinations = {{rs1, {Weight{0}}}};
  Leaving recorded;
  recorded.marked_vips = {{vip, UnixTime{1300}}, {other_vip, UnixTime{1300}}};
  CHECK(made({}, have, 3, 1000, recorded) == "");
  CHECK(made({}, have, 0, 1000, recorded) ==
        "- address 192.0.2.100/32 dev eth0  (not in the file)\n"
        "- address 192.0.2.101/32 dev eth0  (not in the file)\n"
        "- ipvs fwmark 7 IPv4  (not in the file)\n");
}

TEST_CASE("marks: a VIP that leaves stays while the service has connections, until the deadline") {
  NodeState want = marked();
  want.nft.marks->erase({other_vip, L4::tcp, all_ports});
  want.addresses.erase({"eth0", other_vip, 32});
  CHECK(made(want, marked(), 3) == "- nft mark tcp 192.0.2.101, all ports  (not in the file)\n");
  Leaving recorded;
  recorded.marked_vips[other_vip] = UnixTime{1300};
  NodeState have = marked();
  have.nft = want.nft;
  CHECK(made(want, have, 3, 1299, recorded) == "");
  CHECK(made(want, have, 3, 1300, recorded) ==
        "- address 192.0.2.101/32 dev eth0  (not in the file)\n");
  CHECK(made(want, have, 0) == "- address 192.0.2.101/32 dev eth0  (not in the file)\n");
}

TEST_CASE("marks: as nft takes them, one transaction") {
  const auto script = [](std::vector<Action> actions) {
    std::vector<Operation> run;
    for (Action& action : actions)
      run.push_back({Phase::add_nft, std::move(action), Reason::not_in_kernel});
    std::string out;
    for (const std::string& line : plan::nft_statements(run))
      out += line + "\n";
    return out;
  };
  CHECK(script({RemoveMark{high, 7}, SetMark{https, 7, 8},
                SetMark{{ip("2001:db8::1"), L4::udp, all_ports}, {}, 9}}) ==
        "delete element inet lbctl mark_tcp4 { 192.0.2.100 . 8000-8100 }\n"
        "delete element inet lbctl mark_tcp4 { 192.0.2.100 . 443 }\n"
        "add element inet lbctl mark_tcp4 { 192.0.2.100 . 443 : 8 }\n"
        "add element inet lbctl mark_udp6 { 2001:db8::1 . 0-65535 : 9 }\n");
  CHECK(script({RemoveMarks{}}) == "delete table inet lbctl\n");
  CHECK(script({CreateMarks{{true, false}, true}})
            .starts_with("add table inet lbctl\ndelete table inet lbctl\n"));
  CHECK(script({SetMark{https, Mark{7}, Mark{7, true}}, RemoveMark{high, Mark{0, true}}}) ==
        "add element inet lbctl untracked_tcp4 { 192.0.2.100 . 443 }\n"
        "delete element inet lbctl untracked_tcp4 { 192.0.2.100 . 8000-8100 }\n");
}

TEST_CASE("marks: a first or last notrack makes the table anew, one more does not") {
  const NodeState marked = with({{https, 7}});
  const NodeState one = with({{https, 7}, {high, {0, true}}});
  const NodeState two = with({{https, {7, true}}, {high, {0, true}}});
  CHECK(plan_text(one, marked) ==
        "~ nft table inet lbctl  firewall marks and notrack at prerouting\n"
        "+ nft mark tcp 192.0.2.100:443  7\n"
        "+ nft mark tcp 192.0.2.100:8000-8100  untracked\n");
  CHECK(plan_text(two, one) == "~ nft mark tcp 192.0.2.100:443  7 -> 7, untracked\n");
}
