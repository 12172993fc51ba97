// What is found on a director: one trap each, and nothing else.
#include "healthy_node.hpp"

using namespace lbctl;
using model::FilterRule;
using model::L4;
using model::Port;
using test::ip;
using test::Node;

namespace {

const model::ServiceKey web{ip("192.0.2.100"), L4::tcp, Port{443}};

constexpr const char* second_director =
    "[directors.dir2]\naddress = [\"192.0.2.20\"]\ninterface = \"eth0\"\n";

}  // namespace

TEST_CASE("doctor: a director that is well has no findings, and its lines are ticked") {
  const Node node("dir1");
  CHECK(node.findings() == "");
  CHECK(node.ticks() == "elsewhere elsewhere elsewhere yes yes");
}

TEST_CASE("doctor: another host answers for a VIP") {
  Node node("dir1");
  node.facts.holders[ip("192.0.2.100")] = {{{2, 0, 0, 0, 0, 0x12}}};
  auto found = node.finding();
  CHECK(found.id == "arp-other-host");
  CHECK(found.evidence[0] == "rs2 (02:00:00:00:00:12) answers ARP for 192.0.2.100");
  CHECK(found.mend == "on rs2: lbctl apply, or lbctl doctor there");
  node.facts.holders[ip("192.0.2.100")] = {{{2, 0, 0, 0, 0, 0x99}}};
  CHECK(node.finding().evidence[0] == "02:00:00:00:00:99 answers ARP for 192.0.2.100");
}

TEST_CASE("doctor: another host answers neighbour solicitations for a VIP") {
  Node node("dir1");
  node.facts.holders[ip("2001:db8:100::100")] = {{{2, 0, 0, 0, 0, 0x12}}};
  const auto found = node.finding();
  CHECK(found.id == "ndp-other-host");
  CHECK(found.evidence[0] ==
        "rs2 (02:00:00:00:00:12) answers neighbour solicitations for 2001:db8:100::100");
  CHECK(doctor::probed_vips(node.config, node.desired, model::Family::v6) ==
        std::set{ip("2001:db8:100::100")});
}

TEST_CASE("doctor: a standby does not mind that another director answers") {
  Node node("dir1", second_director);
  node.facts.sysctls["net/ipv4/vs/sloppy_tcp"] = "1";
  node.facts.node.neighbours[ip("192.0.2.20")] = {{2, 0, 0, 0, 0, 0x20}};
  node.facts.holders[ip("192.0.2.100")] = {{{2, 0, 0, 0, 0, 0x20}}};
  CHECK(node.findings() == "");
}

TEST_CASE("doctor: several directors without sync refuse each other's connections") {
  Node node("dir1", second_director);
  const auto found = node.finding();
  CHECK(found.id == "ipvs-failover");
  CHECK(std::get<model::SetSysctl>(found.fix.at(0)).path == "net/ipv4/vs/sloppy_tcp");
  CHECK(Node("dir1", std::string(second_director) + "[ipvs.sync]\n").findings() == "");
}

TEST_CASE("doctor: a smaller MTU behind than before") {
  Node node("dir1");
  node.facts.node.links["eth1"].mtu = 9000;
  CHECK(node.finding().id == "mtu-smaller");
}

TEST_CASE("doctor: a server that gets no packets as long as the MTU") {
  Node node("dir1");
  CHECK(doctor::near_servers(node.config, node.desired) ==
        std::map<model::IpAddress, std::string>{{ip("192.0.2.11"), "rs1"},
                                                {ip("192.0.2.12"), "rs2"}});
  node.facts.narrow = {ip("192.0.2.12")};
  const auto found = node.finding();
  CHECK(found.id == "mtu-peer");
  CHECK(found.mend.starts_with("on rs2: ip link set dev eth0 mtu 1500;"));
  const Node server("rs1");
  CHECK(doctor::near_servers(server.config, server.desired).size() == 1);
}

TEST_CASE("doctor: tables of iptables-legacy are a doubt") {
  Node node("dir1");
  node.facts.machine.legacy_tables[model::Family::v6] = {"filter", "raw"};
  const auto found = node.finding();
  CHECK(found.id == "legacy-rules");
  CHECK(found.severity == doctor::Severity::doubt);
  CHECK(found.evidence[0] == "tables of ip6tables-legacy stand here: filter, raw");
  CHECK(found.commands == std::vector<std::string>{"ip6tables-legacy-save"});
}

TEST_CASE("doctor: where other nodes serve metrics") {
  const auto places = [](std::string_view address) {
    const Node node("rs1", fmt::format("[daemon]\nmetrics = \"{}\"\n", address));
    std::string out;
    for (const auto& [name, all] : doctor::peer_places(node.config, "rs1"))
      for (const auto& place : all)
        out += fmt::format("{} {}\n", name, place.url());
    return out;
  };
  CHECK(places("127.0.0.1:9476") == "");
  CHECK(places("[::1]:9476") == "");
  CHECK(places("off") == "");
  CHECK(places("192.0.2.11:9476") == "");  // this node's own
  CHECK(places("192.0.2.12:9476") == "rs2 http://192.0.2.12:9476/metrics\n");
  CHECK(places("0.0.0.0:9476") ==
        "dir1 http://192.0.2.10:9476/metrics\nrs2 http://192.0.2.12:9476/metrics\n");
  CHECK(places("[::]:9476") ==
        "dir1 http://192.0.2.10:9476/metrics\nrs2 http://192.0.2.12:9476/metrics\n"
        "rs2 http://[2001:db8:100::12]:9476/metrics\n");
}

TEST_CASE("doctor: IPVS settings that the file turns against itself") {
  const Node node("dir1", "[ipvs.sysctl]\nexpire_nodest_conn = 0\nconn_reuse_mode = 0\n");
  CHECK(node.findings() == "warning ipvs-nodest\nwarning ipvs-reuse\n");
}

TEST_CASE("doctor: hashing schedulers without their flags") {
  Node node("dir1");
  auto& service = node.ours.ipvs.at(web);
  service.flags.sched1 = false;
  CHECK(node.findings() == "");
  service.destinations.begin()->second.weight = model::Weight{};
  CHECK(node.findings() == "error scheduler-no-fallback\n");
  service.flags.sched1 = true;
  CHECK(node.findings() == "");
  service.flags.sched2 = false;
  CHECK(node.findings() == "doubt scheduler-no-port\n");
}

TEST_CASE("doctor: a scheduler that the kernel does not have") {
  Node node("dir1");
  node.facts.machine.modules_known = true;
  CHECK(node.findings() == "");
  for (auto it = node.ours.ipvs.begin(); it != node.ours.ipvs.end();)
    it = node.ours.ipvs.erase(it);
  CHECK(node.findings() == "error scheduler-missing\n");
  node.facts.machine.modules = {"ip_vs_mh"};
  CHECK(node.findings() == "");
}

TEST_CASE("doctor: somebody else's service on a VIP") {
  Node node("dir1");
  node.foreign.ipvs[{ip("192.0.2.100"), L4::tcp, Port{8080}}];
  const auto found = node.finding();
  CHECK(found.id == "service-foreign");
  CHECK(found.commands == std::vector<std::string>{"ipvsadm -D -t 192.0.2.100:8080"});
  Node other("dir1");
  other.foreign.ipvs[{ip("192.0.2.99"), L4::tcp, Port{8080}}];
  CHECK(other.findings() == "");
}

TEST_CASE("doctor: UDP that is forgotten too soon") {
  const std::string dns =
      "[services.dns]\nvip = [\"192.0.2.101\"]\nports = [53]\nprotocols = [\"udp\"]\n";
  Node node("dir1", dns);
  node.ours.ipvs_node.timeouts.udp = 10;
  CHECK(std::get<model::SetIpvsTimeouts>(node.finding().fix.at(0)).to ==
        model::IpvsTimeouts{0, 0, 300});
  Node quic("dir1");
  quic.ours.ipvs_node.timeouts.udp = 10;
  CHECK(quic.findings() == "");
}

TEST_CASE("doctor: rules of others that drop what looks half") {
  Node node("dir1");
  const auto rule = [&](FilterRule::Kind kind, const char* hook) {
    node.facts.rules = {{kind, "inet", "filter", "in", hook, 5}};
    return node.findings();
  };
  for (const auto* hook : {"prerouting", "input", ""})
    CHECK(rule(FilterRule::Kind::drops_invalid, hook) == "error drops-invalid\n");
  for (const auto* hook : {"forward", "output"})
    CHECK(rule(FilterRule::Kind::drops_invalid, hook) == "");
  CHECK(rule(FilterRule::Kind::reverse_path, "prerouting") == "doubt drops-reverse-path\n");
  rule(FilterRule::Kind::drops_invalid, "input");
  CHECK(node.finding().commands ==
        std::vector<std::string>{"nft delete rule inet filter in handle 5"});
  for (auto& [name, service] : node.config.services)
    service.notrack = true;
  CHECK(node.findings() == "");
  // A real server sees both halves.
  Node server("rs1");
  server.facts.rules = {{FilterRule::Kind::drops_invalid, "inet", "filter", "in", "input", 5}};
  CHECK(server.findings() == "");
}

TEST_CASE("doctor: conntrack's table") {
  Node node("dir1");
  node.facts.sysctls["net/netfilter/nf_conntrack_count"] = "52000";
  CHECK(node.findings() == "");
  node.facts.sysctls["net/netfilter/nf_conntrack_count"] = "53000";
  CHECK(node.findings() == "warning conntrack-full\n");
  node.facts.sysctls["net/netfilter/nf_conntrack_count"] = "65000";
  CHECK(node.findings() == "error conntrack-full\n");
  CHECK(std::get<model::SetSysctl>(node.finding().fix.at(0)).to == "131072");
}

TEST_CASE("doctor: the signal addresses' way home, as apply would mend it") {
  Node node("dir1");
  node.pending = {{model::Phase::add_nft, model::CreateForward{}, model::Reason::differs}};
  CHECK(node.finding().id == "signal-forward");
  CHECK(node.ticks() == "elsewhere elsewhere elsewhere no no");
}

TEST_CASE("doctor: a kernel without IPVS is one finding") {
  Node node("dir1");
  node.facts.unread.push_back(
      {"ipvs-unread", "IPVS", Error(Errc::unsupported, "no IPVS").with_hint("modprobe ip_vs")});
  node.refusals.push_back(Error(Errc::unsupported, "no sysctl").with_hint("modprobe ip_vs (…)"));
  node.pending = {{model::Phase::add_ipvs, model::AddService{web, {}}, model::Reason::differs}};
  CHECK(node.finding().mend == "modprobe ip_vs");
}

TEST_CASE("doctor: what apply refuses") {
  Node node("dir1");
  node.refusals.push_back(Error(Errc::conflict, "it stands").with_hint("remove it"));
  CHECK(node.finding().id == "foreign-in-the-way");
  node.refusals = {Error(Errc::unsupported, "no such sysctl").with_hint("needs Linux 6.2")};
  CHECK(node.finding().id == "setting-missing");
}

TEST_CASE("doctor: the machine") {
  Node node("dir1");
  node.facts.machine.clock_in_sync = false;
  CHECK(node.findings() == "doubt clock\n");
  node.facts.machine.clock_in_sync.reset();
  node.facts.machine.capabilities = 0;
  CHECK(node.finding().evidence.size() == 2);
  CHECK(Node("rs1").findings() == "");
  Node server("rs1");
  server.facts.machine.capabilities = 0;
  CHECK(server.finding().evidence.size() == 4);
  node.facts.machine.capabilities = ~std::uint64_t{0};
  node.facts.recognised = "";
  CHECK(node.finding().id == "node-name");
  server.facts.machine.capabilities = ~std::uint64_t{0};
  server.facts.sysctls.erase("net/mptcp/enabled");
  CHECK(server.finding().id == "kernel-feature");
}
