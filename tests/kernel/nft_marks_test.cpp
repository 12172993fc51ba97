// The table of firewall marks: written with our code and read with nft, and the other way round.
#include <doctest/doctest.h>

#include <memory>

#include "lbctl/kernel/nft.hpp"
#include "namespace.hpp"
#include "rules_text.hpp"

namespace {

using namespace lbctl;
using namespace lbctl::model;
using tests::Inside;
using tests::Namespace;
using tests::run;

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

PortRange ports(std::uint16_t first, std::uint16_t last) {
  return {Port{first}, Port{last}};
}

const MarkKey https{ip("192.0.2.100"), L4::tcp, ports(443, 443)};
const MarkKey high{ip("192.0.2.100"), L4::tcp, ports(8000, 8100)};
const MarkKey whole{ip("192.0.2.101"), L4::udp, all_ports};

/// The example of rules/director-marks.nft.
Marks example() {
  return {{https, 7},
          {high, 7},
          {whole, 8},
          {{ip("2001:db8:100::100"), L4::tcp, ports(443, 443)}, 7},
          {{ip("2001:db8:100::100"), L4::tcp, ports(8000, 8100)}, 7},
          {{ip("2001:db8:100::101"), L4::udp, all_ports}, 8}};
}

/// The example of rules/director-notrack.nft.
Marks untracked_example() {
  return {{https, {0, true}},
          {whole, {0, true}},
          {{ip("2001:db8:100::100"), L4::tcp, ports(443, 443)}, {0, true}}};
}

std::vector<Action> made(const Marks& marks, bool replaces = false) {
  std::vector<Action> out{CreateMarks{chains_for(marks), replaces}};
  for (const auto& [key, mark] : marks)
    out.emplace_back(SetMark{key, {}, mark});
  return out;
}

struct Director {
  Namespace ns;
  Inside inside{ns};
  std::unique_ptr<kernel::Backend> backend = std::move(kernel::open_nft().value());

  NftState observe() {
    Observed seen;
    const auto read = backend->observe({.sysctls = {}, .nft = true}, seen);
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    return seen.state.nft;
  }
  kernel::Outcome execute(std::vector<Action> actions) {
    std::vector<Operation> run;
    for (Action& action : actions)
      run.push_back({Phase::add_nft, std::move(action), Reason::not_in_kernel});
    return backend->execute(run);
  }
  void must(std::vector<Action> actions) {
    const kernel::Outcome outcome = execute(std::move(actions));
    REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
  }
};

NftState intact(Marks marks) {
  NftState out;
  out.marks = std::move(marks);
  return out;
}

std::string listing() {
  return run("nft -s list table inet lbctl");
}

constexpr const char* rules_file = LBCTL_SOURCE_DIR "/rules/director-marks.nft";

}  // namespace

TEST_CASE("nft marks: rules/director-marks.nft is what nft lists after we made the table") {
  Director director;
  director.must(made(example()));
  CHECK(tests::essence_of_file("director-marks.nft") == tests::essence(listing()));
}

TEST_CASE("nft marks: the rules file, loaded with nft, is read as intact") {
  Director director;
  run(std::string("nft -f ") + rules_file);
  CHECK(director.observe() == intact(example()));
}

TEST_CASE("nft marks: rules/director-notrack.nft is what nft lists, and is read as intact") {
  Director director;
  director.must(made(untracked_example()));
  CHECK(tests::essence_of_file("director-notrack.nft") == tests::essence(listing()));
  CHECK(director.observe() == intact(untracked_example()));
  run("nft flush ruleset; nft -f " LBCTL_SOURCE_DIR "/rules/director-notrack.nft");
  CHECK(director.observe() == intact(untracked_example()));
}

TEST_CASE("nft marks: a packet is marked and untracked, and either changes without the other") {
  Director director;
  Marks both{{https, {7, true}}, {high, {7, false}}, {whole, {0, true}}};
  director.must(made(both));
  CHECK(director.observe() == intact(both));
  director.must({SetMark{https, Mark{7, true}, Mark{9, true}},
                 SetMark{high, Mark{7, false}, Mark{7, true}}, RemoveMark{whole, Mark{0, true}}});
  both = {{https, {9, true}}, {high, {7, true}}};
  CHECK(director.observe() == intact(both));
  director.must(
      {SetMark{https, Mark{9, true}, Mark{9, false}}, SetMark{high, Mark{7, true}, Mark{0, true}}});
  both = {{https, {9, false}}, {high, {0, true}}};
  CHECK(director.observe() == intact(both));
}

TEST_CASE("nft marks: what was made is read back; removing leaves nothing") {
  Director director;
  director.must(made(example()));
  CHECK(director.observe() == intact(example()));
  director.must({RemoveMarks{}});
  CHECK(director.observe() == NftState{});
  CHECK(run("nft list ruleset").empty());
}

TEST_CASE("nft marks: elements change in place, also into ranges that overlap the old") {
  Director director;
  director.must(made(example()));
  const MarkKey wider{high.address, L4::tcp, ports(8050, 9000)};
  const MarkKey all{https.address, L4::udp, all_ports};
  director.must({RemoveMark{high, 7}, SetMark{https, 7, 0x80000001}, SetMark{wider, {}, 7},
                 SetMark{all, {}, 9}});
  Marks expected = example();
  expected.erase(high);
  expected[https] = 0x80000001;
  expected[wider] = 7;
  expected[all] = 9;
  CHECK(director.observe() == intact(expected));
  CHECK(listing().find("192.0.2.100 . 8050-9000 : 0x00000007") != std::string::npos);
  director.must({RemoveMark{https, 0x80000001}, RemoveMark{wider, 7},
                 SetMark{{https.address, L4::tcp, all_ports}, {}, 7}});
  CHECK(listing().find("192.0.2.100 . 0-65535 : 0x00000007") != std::string::npos);
}

TEST_CASE("nft marks: a run that fails changes nothing and names the operation that failed") {
  Director director;
  director.must(made(example()));
  const auto outcome =
      director.execute({SetMark{{whole.address, L4::tcp, ports(1, 2)}, {}, 9},
                        SetMark{{high.address, L4::tcp, ports(8050, 8060)}, {}, 9}});
  REQUIRE(outcome.error);
  CHECK(outcome.done == 0);
  CHECK(outcome.error->code() == Errc::conflict);
  CHECK(outcome.error->text().starts_with(
      "nft: set mark 9 for tcp 192.0.2.100:8050-8060: element of mark_tcp4: "));
  CHECK(director.observe() == intact(example()));
}

TEST_CASE("nft marks: every kind of hand edit is seen, and mended") {
  const std::vector<std::string> edits{
      "add rule inet lbctl marking accept",
      "insert rule inet lbctl marking counter",
      "flush chain inet lbctl marking",
      "add chain inet lbctl mine",
      "add set inet lbctl mine { type ipv4_addr; }",
      "add element inet lbctl mark_tcp4 { 192.0.2.1-192.0.2.9 . 80 : 7 }",
      "add table inet lbctl { flags dormant; }",
      "chain inet lbctl marking { policy drop; }",
  };
  for (const std::string& edit : edits) {
    CAPTURE(edit);
    Director director;
    director.must(made(example()));
    REQUIRE(director.observe().marks_intact);
    run("nft '" + edit + "'");
    CHECK(!director.observe().marks_intact);
    CHECK(director.observe().intact);
    director.must(made(example(), true));
    CHECK(director.observe() == intact(example()));
  }
}

TEST_CASE("nft marks: an element changed by hand shows as another mark, the rules stay intact") {
  Director director;
  director.must(made(example()));
  run("nft add element inet lbctl mark_udp4 '{ 192.0.2.100 . 53 : 0x9 }'");
  Marks expected = example();
  expected[{ip("192.0.2.100"), L4::udp, ports(53, 53)}] = 9;
  CHECK(director.observe() == intact(expected));
}

TEST_CASE("nft marks: thousands load in one transaction and are read back") {
  Director director;
  Marks marks;
  for (std::uint16_t n = 0; n < 3000; ++n) {
    const auto first = static_cast<std::uint16_t>(1 + 20 * n);
    marks[{https.address, L4::tcp, ports(first, static_cast<std::uint16_t>(first + 9))}] = n + 1u;
  }
  director.must(made(marks));
  CHECK(director.observe() == intact(marks));
}

TEST_CASE("nft marks: conntrack does not see these packets, and sees others") {
  const Namespace client;
  Director director;
  run("ip link add eth0 type veth peer name eth0 netns " + client.path() +
      " && ip link set eth0 up; sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
      "ip addr add 192.0.2.100/24 dev eth0; ip addr add 2001:db8:100::100/64 dev eth0 nodad");
  director.must(made(untracked_example()));
  run("nft -f - <<'RULES'\ntable inet watch {\nchain c {\n"
      "type filter hook input priority 0\n"
      "ct state untracked tcp dport 443 counter\nct state new tcp dport 442 counter\n"
      "ct state new tcp dport 443 counter\n}\n}\nRULES");
  {
    const Inside inside(client);
    run("ip link set eth0 up; sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
        "ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8:100::1/64 dev eth0 nodad");
    run("bash -c 'for a in 192.0.2.100 2001:db8:100::100; do for p in 443 442; do "
        "(: >/dev/tcp/$a/$p) 2>/dev/null || :; done; done'");
  }
  const std::string seen = run("nft list table inet watch");
  CHECK(seen.find("ct state untracked tcp dport 443 counter packets 2 ") != std::string::npos);
  CHECK(seen.find("ct state new tcp dport 442 counter packets 2 ") != std::string::npos);
  CHECK(seen.find("ct state new tcp dport 443 counter packets 0 ") != std::string::npos);
}

TEST_CASE("nft marks: the mark is set, on these packets and on no others") {
  Director director;
  run("ip link set lo up; ip addr add 192.0.2.100/32 dev lo; "
      "ip -6 addr add 2001:db8:100::101/128 dev lo nodad");
  director.must(made(example()));
  run("nft -f - <<'RULES'\ntable inet watch {\nchain c {\n"
      "type filter hook input priority 0\n"
      "meta mark 7 ip daddr 192.0.2.100 tcp dport { 443, 8000, 8050, 8100 } counter\n"
      "meta mark 0 ip daddr 192.0.2.100 tcp dport { 442, 7999, 8101 } counter\n"
      "meta mark 0 udp dport { 443, 8050 } ip daddr 192.0.2.100 counter\n"
      "meta mark 8 udp dport { 1, 53, 65535 } counter\nmeta mark != 0 counter\n}\n}\nRULES");
  // A shell that knows these paths.
  run("bash -c 'for p in 443 8000 8050 8100 442 7999 8101; do (: >/dev/tcp/192.0.2.100/$p) "
      "2>/dev/null || :; "
      "done; for p in 443 8050; do echo >/dev/udp/192.0.2.100/$p; done; "
      "for p in 1 53 65535; do echo >/dev/udp/2001:db8:100::101/$p; done'");
  const std::string seen = run("nft list table inet watch");
  CHECK(seen.find("tcp dport { 443, 8000, 8050, 8100 } counter packets 4 ") != std::string::npos);
  CHECK(seen.find("tcp dport { 442, 7999, 8101 } counter packets 3 ") != std::string::npos);
  CHECK(seen.find("udp dport { 443, 8050 } ip daddr 192.0.2.100 counter packets 2 ") !=
        std::string::npos);
  CHECK(seen.find("udp dport { 1, 53, 65535 } counter packets 3 ") != std::string::npos);
  CHECK(seen.find("meta mark != 0x00000000 counter packets 7 ") != std::string::npos);
}
