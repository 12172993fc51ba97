#include "checks.hpp"

#include <set>

#include "fake_node.hpp"

using namespace lbctl;
using namespace lbctl::daemon;

namespace {

Questions questions(const std::string& services) {
  const auto loaded = config::read_text(test::nodes + services, "test.toml");
  std::string said;
  for (const auto& diagnostic : loaded.diagnostics)
    said += config::render(diagnostic);
  REQUIRE_MESSAGE(loaded.ok(), said);
  return questions_of(*loaded.config, loaded.config->directors.at("dir1"));
}

std::string titles(const Questions& questions) {
  std::string out;
  for (const auto& [id, probe] : questions.probes)
    out += probe.title() + "\n";
  return out;
}

}  // namespace

TEST_CASE("checks: one for each server and family that the service needs") {
  CHECK(titles(questions(R"(
check = { type = "http", port = 8080 }
[services.six]
vip = ["192.0.2.101", "2001:db8::101"]
ports = [443]
protocols = ["tcp"]
servers = ["rs1"]
check = {}
)")) == "http 192.0.2.11:8080\nhttp 192.0.2.12:8080\ntcp 192.0.2.11:443\ntcp [2001:db8::11]:443\n");
}

TEST_CASE("checks: services that ask the same share one; other settings are another") {
  const char* two = R"(
check = {}
[services.two]
vip = ["192.0.2.101"]
ports = [80]
protocols = ["tcp"]
)";
  const auto same = questions(std::string(two) + "check = {}\n");
  CHECK(same.probes.size() == 2);
  CHECK(same.plan.services.at("two").servers.at("rs1").checks ==
        same.plan.services.at("web").servers.at("rs1").checks);
  for (const char* other : {"check = { rise = 5 }", "check = { type = \"http\" }",
                            "check = { interval = \"9s\" }", "check = { hold_down = \"9s\" }"})
    CHECK(questions(std::string(two) + other + "\n").probes.size() == 4);
}

TEST_CASE("checks: through the VIPs each of them is asked, by the server's mark") {
  const auto got = questions(R"(
check = { via = "vip", port = 8080 }
[services.two]
vip = ["192.0.2.101"]
ports = [8080]
protocols = ["tcp"]
servers = ["rs2"]
check = { via = "vip" }
)");
  CHECK(titles(got) ==
        "tcp 192.0.2.11:8080 through 192.0.2.100\ntcp 192.0.2.12:8080 through 192.0.2.100\n"
        "tcp 192.0.2.12:8080 through 192.0.2.101\n");
  CHECK(got.probes.begin()->second.through->mark == 0x6c620001);
  CHECK(got.probes.begin()->second.through->source.text() == "192.0.2.10");
}

TEST_CASE("checks: the port of servers that masquerade changes") {
  CHECK(titles(questions("forward = \"masquerade\"\nserver_port = 8080\ncheck = {}\n")) ==
        "tcp 192.0.2.11:8080\ntcp 192.0.2.12:8080\n");
}

TEST_CASE("checks: what the file says of quorum and the rest arrives at the board") {
  const auto got = questions(R"(
check = { rise = 7, fall = 8, hold_down = "1m", slow_start = "30s", fail_open = 40, start = "down" }
quorum = { up = 20, hysteresis = 5 }
[services.ftp]
vip = ["192.0.2.101"]
ports = [21]
protocols = ["tcp"]
track = "web"
)");
  const auto& web = got.plan.services.at("web");
  CHECK(web.quorum == 20);
  CHECK(web.hysteresis == 5);
  CHECK(web.slow_start == std::chrono::seconds(30));
  CHECK(web.fail_open == 40);
  CHECK(number(web.servers.at("rs2").weight) == 20);
  CHECK(got.plan.services.at("ftp").track == "web");
  CHECK(got.plan.services.at("ftp").servers.at("rs1").checks.empty());
  const health::JudgeSettings want{
      .rise = 7, .fall = 8, .hold_down = std::chrono::minutes(1), .up_at_start = false};
  CHECK(got.plan.checks.begin()->second == want);
}

TEST_CASE("checks: whatever is asked makes another check") {
  const std::vector<std::string> different = {
      "type = \"http\"",
      "type = \"http\", method = \"HEAD\"",
      "type = \"http\", header = \"A: b\"",
      "type = \"http\", header = \"A: c\"",
      "type = \"http\", body = \"A\"",
      "type = \"udp\"",
      "type = \"udp\", expect = \"\"",
      "type = \"udp\", send = \"x\"",
      "type = \"dns\"",
      "type = \"dns\", query = \"a.example\"",
      "type = \"dns\", record = \"A\"",
      "type = \"exec\", command = [\"/bin/a\"]",
      "type = \"exec\", command = [\"/bin/a\", \"b\"]",
      "type = \"exec\", command = [\"/bin/a\"], user = \"daemon\"",
      "type = \"agent\", port = 80"};
  std::set<std::string> ids;
  for (const std::string& check : different)
    for (const auto& [id, probe] : questions("check = { " + check + " }\n").probes)
      ids.insert(id);
  CHECK(ids.size() == 2 * different.size());
}

TEST_CASE("checks: programs are told of service and server, so that services share none") {
  const auto got = questions(R"(
check = { type = "exec", command = ["/bin/a"] }
[services.two]
vip = ["192.0.2.101"]
ports = [80]
protocols = ["tcp"]
check = { type = "exec", command = ["/bin/a"] }
)");
  CHECK(titles(got) ==
        "exec /bin/a for two 192.0.2.11:80\nexec /bin/a for two 192.0.2.12:80\n"
        "exec /bin/a for web 192.0.2.11:80\nexec /bin/a for web 192.0.2.12:80\n");
  CHECK(got.probes.begin()->second.server == "rs1");
}

TEST_CASE("checks: a QUIC handshake must come to connection IDs that name the server") {
  const auto asked = [](const std::string& cid, const std::string& check) {
    const auto loaded = config::read_text(
        test::nodes + ("[services.h3]\nvip = [\"192.0.2.101\"]\nports = [443]\n"
                       "protocols = [\"quic\"]\nservers = [\"rs2\"]\nquic.cid = " +
                       cid + "\ncheck = { type = \"quic\", " + check + " }\n"),
        "test.toml");
    REQUIRE(loaded.ok());
    return questions_of(*loaded.config, loaded.config->directors.at("dir1")).probes;
  };
  const std::string own = "{ scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 6 }";
  const auto shaken = asked(own, "handshake = true");
  REQUIRE(shaken.size() == 1);
  REQUIRE(shaken.begin()->second.slots.size() == 1);
  CHECK(shaken.begin()->second.slots.front().id == model::ServerId{.low = 2});
  CHECK(asked("{ scheme = \"dpvs\" }", "handshake = true").begin()->second.slots.front().id ==
        model::address_id(*model::IpAddress::parse("192.0.2.12")));
  CHECK(asked(own, "port = 443").begin()->second.slots.empty());
  std::set<std::string> ids;
  for (const char* check : {"port = 443", "handshake = true", "handshake = true, alpn = \"x\""})
    ids.insert(asked(own, check).begin()->first);
  ids.insert(asked("{ scheme = \"msquic\" }", "handshake = true").begin()->first);
  CHECK(ids.size() == 4);
}

TEST_CASE("checks: of an MPTCP service joins are asked for at what the server announces") {
  const auto joins = [](const char* mptcp, const char* check) {
    std::string file = test::nodes;
    for (const std::string number : {"1", "2"})
      file.replace(file.find("id = " + number), 6,
                   "id = " + number + "\nsignal = [\"192.0.2.11" + number + "\", \"2001:db8::11" +
                       number + "\"]");
    file +=
        "[services.joined]\nvip = [\"192.0.2.101\", \"2001:db8::101\"]\nports = [443]\n"
        "protocols = [\"mptcp\"]\nservers = [\"rs2\"]\n";
    const auto loaded = config::read_text(file + mptcp + check, "test.toml");
    REQUIRE(loaded.ok());
    std::string out;
    for (const auto& [id, probe] :
         questions_of(*loaded.config, loaded.config->directors.at("dir1")).probes) {
      out += probe.title() + ":";
      for (const model::EndpointKey& signal : probe.joins)
        out += " " + signal.text();
      out += probe.join_mark != 0 ? " by mark\n" : "\n";
    }
    return out;
  };
  CHECK(joins("", "check = { type = \"tcp\" }\n") ==
        "tcp 192.0.2.12:443:\ntcp [2001:db8::12]:443:\n");
  CHECK(joins("", "check = { type = \"mptcp\" }\n") ==
        "mptcp 192.0.2.12:443: 192.0.2.112:443\n"
        "mptcp [2001:db8::12]:443: [2001:db8::112]:443\n");
  CHECK(joins("mptcp = { via = \"ipvs\" }\n", "check = { type = \"mptcp\", port = 444 }\n") ==
        "mptcp 192.0.2.12:444: 192.0.2.112:444 by mark\n"
        "mptcp [2001:db8::12]:444: [2001:db8::112]:444 by mark\n");
}
