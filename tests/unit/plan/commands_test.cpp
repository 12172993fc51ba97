#include "lbctl/plan/commands.hpp"

#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include <fstream>
#include <regex>
#include <sstream>

using namespace lbctl;
using namespace lbctl::model;

namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

std::vector<Operation> operations(std::vector<Action> actions) {
  std::vector<Operation> out;
  for (Action& action : actions)
    out.push_back({Phase::add_ipvs, std::move(action), Reason::differs});
  return out;
}

/// The script without its comments.
std::string script(std::vector<Action> actions) {
  std::string out;
  for (const std::string& line : plan::commands(operations(std::move(actions))))
    if (!line.starts_with('#')) out += line + "\n";
  return out;
}

std::string with_comments(std::vector<Action> actions) {
  return fmt::format("{}", fmt::join(plan::commands(operations(std::move(actions))), "\n"));
}

const ServiceKey web4{ip("192.0.2.100"), L4::tcp, Port{443}};
const ServiceKey web6{ip("2001:db8::100"), L4::udp, Port{443}};
const ServiceKey mark4{ip("0.0.0.0"), L4::tcp, {}, 7};
const ServiceKey mark6{ip("::"), L4::tcp, {}, 7};
const DestinationKey rs1{ip("192.0.2.11"), Port{443}};
const DestinationKey rs1_6{ip("2001:db8::11"), Port{443}};

}  // namespace

TEST_CASE("commands: an empty plan has none") {
  CHECK(plan::commands({}).empty());
}

TEST_CASE("commands: a sysctl is one word, a dot in a device's name a slash") {
  CHECK(script({SetSysctl{"net/ipv4/conf/eth0.7/arp_ignore", "0", "1"},
                SetSysctl{"net/ipv4/tcp_rmem", "", "1 2 3"},
                SetSysctl{"net/ipv4/conf/it's/arp_ignore", "0", "1"}}) ==
        "sysctl -w net.ipv4.conf.eth0/7.arp_ignore=1\n"
        "sysctl -w 'net.ipv4.tcp_rmem=1 2 3'\n"
        "sysctl -w 'net.ipv4.conf.it'\\''s.arp_ignore=1'\n");
}

TEST_CASE("commands: adding and editing a service name every setting") {
  const VirtualService plain{.scheduler = "rr"};
  const VirtualService full{.scheduler = "mh",
                            .flags = {.persistent = true, .sched1 = true, .sched2 = true},
                            .persistence_timeout = 300,
                            .persistence_prefix = 24};
  const VirtualService odd{.scheduler = "wlc",
                           .flags = {.persistent = true, .one_packet = true, .sched3 = true},
                           .persistence_timeout = 60,
                           .persistence_prefix = 64};
  const VirtualService one{
      .scheduler = "sh", .flags = {.persistent = true, .sched1 = true}, .persistence_timeout = 9};
  CHECK(
      script({AddService{web4, plain}, AddService{web6, odd}, EditService{web4, plain, full},
              EditService{web4, full, plain}, AddService{mark4, one}, AddService{mark6, plain}}) ==
      "ipvsadm -A -t 192.0.2.100:443 -s rr\n"
      "ipvsadm -A -u '[2001:db8::100]:443' -s wlc -b flag-3 -p 60 -M 64 -o\n"
      "ipvsadm -E -t 192.0.2.100:443 -s mh -b mh-fallback,mh-port -p 300 -M 255.255.255.0\n"
      "ipvsadm -E -t 192.0.2.100:443 -s rr\n"
      "ipvsadm -A -f 7 -s sh -b sh-fallback -p 9\n"
      "ipvsadm -A -f 7 -6 -s rr\n");
}

TEST_CASE("commands: removing a service or a destination names the key alone") {
  CHECK(script({RemoveDestination{web4, rs1}, RemoveDestination{web6, rs1_6}, RemoveService{web6},
                RemoveService{mark6}}) ==
        "ipvsadm -d -t 192.0.2.100:443 -r 192.0.2.11:443\n"
        "ipvsadm -d -u '[2001:db8::100]:443' -r '[2001:db8::11]:443'\n"
        "ipvsadm -D -u '[2001:db8::100]:443'\n"
        "ipvsadm -D -f 7 -6\n");
}

TEST_CASE("commands: adding and editing a destination name every setting") {
  const Destination plain{.weight = Weight{10}};
  const Destination limited{.weight = Weight{0},
                            .forward = Forward::tunnel,
                            .upper_threshold = 100,
                            .lower_threshold = 50};
  const Destination nat{.weight = Weight{1}, .forward = Forward::masquerade};
  const Destination here{.weight = Weight{1}, .forward = Forward::local};
  CHECK(script({AddDestination{web4, rs1, plain},
                AddDestination{mark6, {ip("2001:db8::11"), {}}, nat},
                AddDestination{web6, rs1_6, here}, EditDestination{web4, rs1, plain, limited},
                EditDestination{web4, rs1, limited, plain}}) ==
        "ipvsadm -a -t 192.0.2.100:443 -r 192.0.2.11:443 -g -w 10\n"
        "ipvsadm -a -f 7 -6 -r '[2001:db8::11]:0' -m -w 1\n"
        "ipvsadm -a -u '[2001:db8::100]:443' -r '[2001:db8::11]:443' -g -w 1\n"
        "ipvsadm -e -t 192.0.2.100:443 -r 192.0.2.11:443 -i -w 0 -x 100 -y 50\n"
        "ipvsadm -e -t 192.0.2.100:443 -r 192.0.2.11:443 -g -w 10\n");
}

TEST_CASE("commands: addresses are added as lbctl adds them, on lo and elsewhere") {
  CHECK(with_comments({AddAddress{{"lo", ip("192.0.2.100"), 32}, {rtnl_protocol, false}},
                       AddAddress{{"eth0", ip("192.0.2.100"), 32}, {rtnl_protocol, true}},
                       AddAddress{{"eth0", ip("2001:db8::100"), 128}, {rtnl_protocol, true}}}) ==
        "# Services, addresses and MPTCP endpoints that these lines make are not lbctl's: it keeps "
        "no\n"
        "# record of them and will call them foreign; lbctl apply --adopt takes them.\n"
        "# addresses\n"
        "# An ip newer than Debian 12's also takes \"proto 76\", lbctl's mark.\n"
        "# lbctl announces the IPv6 ones too, by unsolicited NA; the usual tools send none.\n"
        "ip address add 192.0.2.100/32 dev lo scope host\n"
        "ip address add 192.0.2.100/32 dev eth0\n"
        "arping -q -U -c 1 -I eth0 192.0.2.100 || true\n"
        "ip address add 2001:db8::100/128 dev eth0 nodad preferred_lft 0 valid_lft forever");
  CHECK(with_comments({RemoveAddress{{"e'0", ip("192.0.2.100"), 32}}}) ==
        "# addresses\nip address delete 192.0.2.100/32 dev 'e'\\''0'");
}

TEST_CASE("commands: MPTCP endpoints go by their id, limits are set together") {
  CHECK(script({AddEndpoint{{ip("192.0.2.111"), {}}, {.signal = true}},
                AddEndpoint{{ip("2001:db8::100"), Port{44301}}, {.signal = true, .device = "eth0"}},
                AddEndpoint{{ip("192.0.2.5"), {}}, {}},
                AddEndpoint{{ip("192.0.2.6"), {}},
                            {.subflow = true, .backup = true, .fullmesh = true}},
                RemoveEndpoint{{ip("192.0.2.111"), {}}, {.signal = true, .id = 3}},
                SetEndpoint{{ip("192.0.2.112"), {}},
                            {.signal = true, .id = 4},
                            {.signal = true, .backup = true}},
                SetEndpoint{{ip("192.0.2.112"), {}},
                            {.signal = true, .backup = true, .id = 4},
                            {.signal = true}},
                SetMptcpLimits{{2, 0}, {8, 4}}}) ==
        "ip mptcp endpoint add 192.0.2.111 signal\n"
        "ip mptcp endpoint add 2001:db8::100 dev eth0 port 44301 signal\n"
        "ip mptcp endpoint add 192.0.2.5\n"
        "ip mptcp endpoint add 192.0.2.6 subflow backup fullmesh\n"
        "ip mptcp endpoint delete id 3\n"
        "ip mptcp endpoint change id 4 backup\n"
        "ip mptcp endpoint change id 4 nobackup\n"
        "ip mptcp limits set subflows 8 add_addr_accepted 4\n");
}

namespace {

const ForwardTarget to11{ip("192.0.2.11"), true}, to12{ip("192.0.2.12"), false};

/// What counts when a rules file is compared: no comments, one space.
std::string essence(const std::string& text) {
  std::string out = " ";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    out += line.substr(0, line.find('#')) + " ";
  return std::regex_replace(out, std::regex("\\s+"), " ");
}

std::string without(std::string text, const std::string& part) {
  const auto at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.erase(at, part.size());
}

}  // namespace

TEST_CASE(
    "commands: the table is rules/director-forward.nft, its addresses in the same statement") {
  std::ifstream file(LBCTL_SOURCE_DIR "/rules/director-forward.nft");
  REQUIRE(file.good());
  const std::string rules((std::istreambuf_iterator<char>(file)), {});
  const std::string made =
      script({CreateForward{{{"eth0"}, "eth0", {}}, false},
              SetSignal{{ip("192.0.2.111")}, {}, to11}, SetSignal{{ip("192.0.2.112")}, {}, to12},
              SetSignal{{ip("192.0.2.100"), Port{44301}}, {}, to11},
              SetSignal{{ip("192.0.2.100"), Port{44302}}, {}, to12},
              SetSignal{{ip("2001:db8:100::111")}, {}, {ip("2001:db8:100::11"), true}},
              SetSignal{{ip("2001:db8:100::112")}, {}, {ip("2001:db8:100::12"), false}}});
  CHECK(made.starts_with("nft -f - <<'END'\ncreate table netdev lbctl\ntable netdev lbctl {\n"));
  CHECK(made.ends_with("\n}\nEND\n"));
  CHECK(essence(without(without(made, "nft -f - <<'END'\ncreate table netdev lbctl\n"), "END\n")) ==
        essence(rules));
}

TEST_CASE("commands: the tables with guards are those of rules/, too") {
  const auto rules = [](const char* name) {
    std::ifstream file(std::string(LBCTL_SOURCE_DIR "/rules/") + name);
    REQUIRE(file.good());
    return essence({(std::istreambuf_iterator<char>(file)), {}});
  };
  const auto table = [](SignalForward forward) {
    const std::string made = script({CreateForward{std::move(forward), false}});
    return essence(
        without(without(made, "nft -f - <<'END'\ncreate table netdev lbctl\n"), "END\n"));
  };
  const EndpointKey web4{ip("192.0.2.100"), Port{443}}, web6{ip("2001:db8:100::100"), Port{443}};
  const Rate syn{200, RateUnit::second, 400};
  CHECK(table({{"eth0"},
               "eth0",
               {{{ip("192.0.2.111")}, to11}, {{ip("2001:db8:100::111")}, {std::nullopt, true}}},
               {web4, web6},
               {{"syn4_web", {syn, 32, {web4}}},
                {"syn6_web", {syn, 64, {web6}}},
                {"join4_web",
                 {{10, RateUnit::minute, 10}, 24, {{ip("192.0.2.111"), Port{443}}}}}}}) ==
        rules("director-guard.nft"));
  CHECK(table({{"eth0"},
               "",
               {{{ip("192.0.2.111")}, {std::nullopt, true}},
                {{ip("2001:db8:100::111")}, {std::nullopt, true}},
                {{ip("192.0.2.100"), Port{44301}}, {std::nullopt, true}}},
               {},
               {}}) == rules("server-guard.nft"));
}

TEST_CASE("commands: a table is replaced in one transaction; several devices, no addresses") {
  const std::string made = script({CreateForward{{{"eth1", "eth2"}, "eth0", {}}, true}});
  CHECK(
      made.starts_with("nft -f - <<'END'\nadd table netdev lbctl\ndelete table netdev lbctl\n"
                       "table netdev lbctl {\n\tmap signal4 {\n"
                       "\t\ttype ipv4_addr : ipv4_addr\n\t\tcounter\n\t}\n"));
  CHECK(made.find("ingress devices = { \"eth1\", \"eth2\" } priority filter - 10;") !=
        std::string::npos);
  CHECK(made.find("map @signal6 device \"eth0\"\n") != std::string::npos);
}

TEST_CASE("commands: a run of changed signal addresses is one transaction, the old goes first") {
  const EndpointKey a{ip("192.0.2.111"), {}}, b{ip("2001:db8::112"), {}};
  const ForwardTarget b11{ip("2001:db8::11"), true};
  CHECK(with_comments({SetSignal{a, to12, to11}, SetSignal{a, to11, {ip("192.0.2.11"), false}},
                       SetSignal{b, {}, b11}, RemoveSignal{b, b11}, RemoveSignal{a, to12}}) ==
        "# nftables: one transaction\n"
        "nft -f - <<'END'\n"
        "delete element netdev lbctl signal4 { 192.0.2.111 }\n"
        "add element netdev lbctl signal4 { 192.0.2.111 : 192.0.2.11 }\n"
        "add element netdev lbctl join_only4 { 192.0.2.111 }\n"
        "delete element netdev lbctl join_only4 { 192.0.2.111 }\n"
        "add element netdev lbctl signal6 { 2001:db8::112 : 2001:db8::11 }\n"
        "add element netdev lbctl join_only6 { 2001:db8::112 }\n"
        "delete element netdev lbctl signal6 { 2001:db8::112 }\n"
        "delete element netdev lbctl join_only6 { 2001:db8::112 }\n"
        "delete element netdev lbctl signal4 { 192.0.2.111 }\n"
        "END");
  CHECK(script({RemoveForward{}}) == "nft -f - <<'END'\ndelete table netdev lbctl\nEND\n");
  CHECK(plan::commands(operations({SetSignal{a, to11, to11}})).empty());
}

TEST_CASE("commands: what only lbctl can do is said in comments") {
  const auto lines = plan::commands(
      operations({SetSteeredService{{ip("192.0.2.100"), Port{443}}, {}, {{CidScheme{}}}},
                  RemoveSteeredService{{ip("192.0.2.100"), Port{443}}},
                  SetSteerTarget{ServerId{2}, {}, {}}, RemoveSteerTarget{ServerId{2}},
                  AttachXdp{"eth0", {}, {XdpMode::automatic, "abc"}}, DetachXdp{"eth0"}}));
  CHECK(fmt::format("{}", fmt::join(lines, "\n")) ==
        "# QUIC steering: no command does this. bpftool would need lbctl's own BPF object and the\n"
        "# layout of its tables. What lbctl apply does:\n"
        "#   + xdp steer 192.0.2.100:443  quic-lb config 0 id 2 nonce 6 octets\n"
        "#   - xdp steer 192.0.2.100:443\n"
        "#   + xdp server id 2  unresolved\n"
        "#   - xdp server id 2\n"
        "#   + xdp program dev eth0  automatic program abc\n"
        "#   - xdp program dev eth0");
}

TEST_CASE("commands: the order is that of the plan, a comment before each subsystem's run") {
  CHECK(with_comments({SetSysctl{"net/mptcp/enabled", "0", "1"}, RemoveService{web4},
                       RemoveForward{}, SetSysctl{"net/mptcp/enabled", "1", "0"}}) ==
        "# sysctls\nsysctl -w net.mptcp.enabled=1\n"
        "# IPVS services and destinations\nipvsadm -D -t 192.0.2.100:443\n"
        "# nftables: one transaction\nnft -f - <<'END'\ndelete table netdev lbctl\nEND\n"
        "# sysctls\nsysctl -w net.mptcp.enabled=0");
}

TEST_CASE("commands: a tunnel's options stand beside -i, plain ipip has none") {
  const auto tunnel = [](Tunnel how) {
    return Destination{.weight = Weight{1}, .forward = Forward::tunnel, .tunnel = how};
  };
  CHECK(script({AddDestination{web4, rs1, tunnel({})},
                AddDestination{web4, rs1, tunnel({TunnelType::gue, Port{6080}})},
                EditDestination{
                    web4, rs1, {}, tunnel({TunnelType::gue, Port{9}, TunnelChecksum::remote})},
                EditDestination{
                    web4, rs1, {}, tunnel({TunnelType::gre, {}, TunnelChecksum::full})}}) ==
        "ipvsadm -a -t 192.0.2.100:443 -r 192.0.2.11:443 -i -w 1\n"
        "ipvsadm -a -t 192.0.2.100:443 -r 192.0.2.11:443 -i --tun-type gue --tun-port 6080 -w 1\n"
        "ipvsadm -e -t 192.0.2.100:443 -r 192.0.2.11:443 -i --tun-type gue --tun-port 9 "
        "--tun-remcsum -w 1\n"
        "ipvsadm -e -t 192.0.2.100:443 -r 192.0.2.11:443 -i --tun-type gre --tun-csum -w 1\n");
}
