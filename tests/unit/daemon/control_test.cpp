#include "control.hpp"

#include <set>
#include <sstream>

#include "fake_node.hpp"
#include "metrics.hpp"

using namespace lbctl;
using namespace lbctl::daemon;
using namespace std::chrono_literals;

namespace {

struct Asked {
  Asked() : post(*engine::HealthPost::open(node.state)), keeper(node, post, teller) {
    REQUIRE(keeper.load({}));
    REQUIRE(keeper.round("start", {}));
  }
  Json operator()(std::string_view line) { return reply_to(line, keeper).answer; }
  test::FakeNode node;
  engine::HealthPost post;
  Teller teller;
  Keeper keeper;
};

}  // namespace

TEST_CASE("control: status and checks") {
  Asked ask;
  const Json status = ask(R"({"command":"status"})");
  CHECK(status["schema_version"] == 1);
  CHECK(status["node"] == "dir1");
  CHECK(status["services"]["web"]["quorum"] == true);
  CHECK(status["services"]["web"]["servers"]["rs1"] == "up");
  CHECK(status["rounds"]["good"] == 1);
  const Json checks = ask(R"({"command":"checks"})");
  CHECK(checks["checks"].size() == 2);
  CHECK(checks["checks"][0]["check"] == "tcp 192.0.2.11:80");
}

TEST_CASE("control: drain and undrain have the node made to match") {
  Asked ask;
  const Reply reply = reply_to(R"({"command":"drain","server":"rs1","seconds":60})", ask.keeper);
  CHECK(reply.answer["result"] == "done");
  CHECK(reply.round);
  CHECK(!reply.reload);
  CHECK(ask.node.drains.front().seconds == 60);
  CHECK(ask.keeper.round("asked", {}));
  CHECK(ask.node.weights() == "192.0.2.12:80=20 ");
  CHECK(ask(R"({"command":"undrain","server":"rs1"})")["result"] == "done");
  CHECK(ask(R"({"command":"undrain","server":"rs1"})")["result"] == "error");
  CHECK(ask.keeper.round("asked", {}));
  CHECK(ask.node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
}

TEST_CASE("control: what makes no sense is answered, and does nothing") {
  Asked ask;
  for (const char* line :
       {"", "x", "[]", "null", "{}", "{\"command\":3}", "{\"command\":\"halt\"}",
        R"({"command":"drain"})", R"({"command":"drain","server":"rs9"})",
        R"({"command":"drain","server":["rs1"]})",
        R"({"command":"drain","server":"rs1","service":"dns"})", "{\"command\":\"status\"",
        "\xff\xfe", R"({"command":"drain","server":"\u0000"})"}) {
    CAPTURE(line);
    const Reply reply = reply_to(line, ask.keeper);
    CHECK(reply.answer["result"] == "error");
    CHECK(!reply.answer["error"]["message"].get<std::string>().empty());
    CHECK(!reply.reload);
    CHECK(!reply.round);
    CHECK(!reply.events);
  }
  CHECK(ask.node.drains.empty());
}

TEST_CASE("metrics: programs of several services for one server are told apart") {
  test::FakeNode node;
  const std::string exec = "check = { type = \"exec\", command = [\"/bin/true\"] }\n";
  node.file = std::string(test::nodes) + exec +
              "[services.two]\nvip = [\"192.0.2.101\"]\nports = [80]\nprotocols = [\"tcp\"]\n" +
              exec;
  engine::HealthPost post = *engine::HealthPost::open(node.state);
  Teller teller;
  Keeper keeper(node, post, teller);
  REQUIRE(keeper.load({}));
  for (const auto& [id, probe] : keeper.probes())
    keeper.take(id, {Answer::right, "", 3ms, {}}, {});
  const std::string page = metrics_of(keeper, "1");
  for (const char* service : {"two", "web"})
    CHECK(page.find("lbctl_check_answers_total{type=\"exec\",address=\"192.0.2.11\",port=\"80\","
                    "through=\"\",service=\"" +
                    std::string(service) + "\",answer=\"right\"} 1\n") != std::string::npos);
}

TEST_CASE("metrics: every sample once, labels escaped, trouble in /healthz") {
  Asked ask;
  for (const auto& [id, probe] : ask.keeper.probes())
    ask.keeper.take(id, {Answer::right, "", 3ms}, {});
  ask.node.counters = model::SignalCounters{
      .brought_home = {{{*model::IpAddress::parse("192.0.2.111")}, 7}}, .over_rate = 5};
  const model::SteeredKey quic{*model::IpAddress::parse("192.0.2.100"), model::Port{443}};
  ask.node.steering = {.verdicts = {{{quic, "steered"}, 9}}, .sent = {{model::ServerId{2}, 8}}};
  ask.keeper.round("test", {});
  const std::string page = metrics_of(ask.keeper, "1 \"x\"");
  std::istringstream lines(page);
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    CAPTURE(line);
    CHECK(seen.insert(line.substr(0, line.rfind(' '))).second);
  }
  for (const char* line :
       {"lbctl_build_info{version=\"1 \\\"x\\\"\"} 1\n",
        "lbctl_server_up{service=\"web\",server=\"rs2\",standing=\"up\"} 1\n",
        "lbctl_check_duration_seconds_bucket{type=\"tcp\",address=\"192.0.2.11\",port=\"80\","
        "through=\"\",le=\"0.0025\"} 0\n",
        "lbctl_check_duration_seconds_bucket{type=\"tcp\",address=\"192.0.2.11\",port=\"80\","
        "through=\"\",le=\"0.005\"} 1\n",
        "lbctl_signal_packets_total{address=\"192.0.2.111\",port=\"0\"} 7\n",
        "lbctl_guard_dropped_packets_total{reason=\"over_rate\"} 5\n",
        "lbctl_steering_packets_total{address=\"192.0.2.100\",port=\"443\",verdict=\"steered\"} "
        "9\n",
        "lbctl_steering_sent_packets_total{server_id=\"2\"} 8\n",
        "lbctl_rounds_total{result=\"good\"} 2\n", "lbctl_service_quorum{service=\"web\"} 1\n"})
    CHECK_MESSAGE(page.find(line) != std::string::npos, line, page);
  const std::string hash = ask.keeper.file_hash();
  CHECK(hash.size() == 16);
  CHECK(page.find("lbctl_config_hash{hash=\"" + hash + "\"} 1\n") != std::string::npos);
  CHECK(trouble_of(ask.keeper).empty());
  ask.node.file = "wrong";
  ask.keeper.load({});
  CHECK(trouble_of(ask.keeper) == "the file is wrong");
  CHECK(ask.keeper.file_hash() == hash);  // of the file in force
}
