#include "keeper.hpp"

#include "fake_node.hpp"

using namespace lbctl;
using namespace lbctl::daemon;
using namespace std::chrono_literals;

namespace {

constexpr Keeper::Time now = Keeper::Time{} + 1h;

struct Running {
  explicit Running(test::FakeNode& n)
      : node(n), post(*engine::HealthPost::open(n.state)), keeper(n, post, teller) {
    teller.listen([this](const std::string& line) { told += line; });
    REQUIRE(keeper.load(now));
  }
  void answer(const std::string& title, Answer answer) {
    for (const auto& [id, probe] : keeper.probes())
      if (probe.title() == title) keeper.take(id, {answer, "why", 1ms}, now);
  }
  test::FakeNode& node;
  engine::HealthPost post;
  std::string told;
  Teller teller;
  Keeper keeper;
};

}  // namespace

TEST_CASE("keeper: a server that fails leaves, and comes back with its weight") {
  test::FakeNode node;
  Running daemon(node);
  CHECK(daemon.keeper.round("start", now));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
  daemon.answer("tcp 192.0.2.12:80", Answer::wrong);
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.11:80=10 ");
  CHECK(daemon.told.find("service web: server rs2: up -> down") != std::string::npos);
  CHECK(daemon.told.find("its health checks fail") != std::string::npos);
  daemon.answer("tcp 192.0.2.12:80", Answer::right);
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
}

TEST_CASE("keeper: what this node could not ask is not held against the server") {
  test::FakeNode node;
  Running daemon(node);
  for (int i = 0; i < 10; ++i)
    daemon.answer("tcp 192.0.2.12:80", Answer::unknown);
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
}

TEST_CASE("keeper: a wrong file keeps what runs, and health goes on") {
  test::FakeNode node;
  Running daemon(node);
  daemon.keeper.round("start", now);
  const std::string right = node.file;
  node.file = "[services.web]\nvip = 3\n";
  CHECK(!daemon.keeper.load(now));
  CHECK(!daemon.keeper.file_is_good());
  CHECK(daemon.told.find("what ran before stays in force") != std::string::npos);
  daemon.answer("tcp 192.0.2.11:80", Answer::wrong);
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.12:80=20 ");
  node.file = right;
  CHECK(daemon.keeper.load(now));
  CHECK(daemon.keeper.round("file", now));
  CHECK(node.weights() == "192.0.2.12:80=20 ");  // the judgement stays
}

TEST_CASE("keeper: the next daemon begins where the last one ended") {
  test::FakeNode node;
  {
    Running daemon(node);
    daemon.answer("tcp 192.0.2.12:80", Answer::wrong);
    daemon.keeper.round("health", now);
  }
  const auto before = node.kernel.executed;
  Running daemon(node);
  CHECK(daemon.keeper.round("start", now));
  CHECK(node.kernel.executed == before);
  CHECK(node.weights() == "192.0.2.11:80=10 ");
}

TEST_CASE("keeper: an agent has the weight changed, and down to none drains") {
  test::FakeNode node;
  const auto say = [&](Running& daemon, std::uint8_t percent) {
    bool due = false;
    for (const auto& [id, probe] : daemon.keeper.probes())
      if (probe.title() == "tcp 192.0.2.12:80")
        due = daemon.keeper.take(id, {Answer::right, "", 1ms, percent}, now);
    return due;
  };
  {
    Running daemon(node);
    CHECK(daemon.keeper.round("start", now));
    CHECK(say(daemon, 50));
    CHECK(!say(daemon, 50));
    CHECK(daemon.keeper.round("health", now));
    CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=10 ");
    CHECK(daemon.told.find("service web: server rs2: up -> reduced") != std::string::npos);
  }
  // The next daemon begins with the weight that was wanted last.
  const auto before = node.kernel.executed;
  Running daemon(node);
  CHECK(daemon.keeper.round("start", now));
  CHECK(node.kernel.executed == before);
  CHECK(say(daemon, 0));
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.11:80=10 ");  // nobody was connected
  CHECK(say(daemon, 100));
  CHECK(daemon.keeper.round("health", now));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
}

TEST_CASE("keeper: reached and lost quorums are told, once each") {
  test::FakeNode node;
  node.file += "quorum = { up = 30 }\n";
  Running daemon(node);
  std::string heard;
  daemon.keeper.on_quorum([&](const std::string& service, bool quorum) {
    heard += service + (quorum ? " up " : " down ");
  });
  const auto round = [&] { CHECK(daemon.keeper.round("health", now)); };
  round();
  CHECK(heard.empty());
  daemon.answer("tcp 192.0.2.12:80", Answer::wrong);
  round();
  round();
  CHECK(heard == "web down ");
  daemon.answer("tcp 192.0.2.12:80", Answer::right);
  round();
  CHECK(heard == "web down web up ");
}

TEST_CASE("keeper: what an apply by hand brought back meanwhile is not taken out again") {
  test::FakeNode node;
  {
    Running daemon(node);
    daemon.answer("tcp 192.0.2.12:80", Answer::wrong);
    daemon.keeper.round("start", now);
    // Beside a living daemon nothing is forgotten.
    CHECK(engine::forget_health(node.state));
    CHECK(engine::read_health(node.temp.path)->size() == 1);
  }
  const auto config = node.read_file().config;
  REQUIRE(node.reconcile(*config, "dir1", {}));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
  CHECK(engine::forget_health(node.state));
  const auto before = node.kernel.executed;
  Running daemon(node);
  CHECK(daemon.keeper.round("start", now));
  CHECK(node.kernel.executed == before);
}

TEST_CASE("keeper: there is one daemon, and only a living one's word counts") {
  test::FakeNode node;
  const auto known = [&] { return engine::read_health(node.temp.path)->size(); };
  CHECK(known() == 0);
  {
    Running daemon(node);
    daemon.keeper.round("start", now);
    CHECK(known() == 1);
    const auto second = engine::HealthPost::open(node.state);
    REQUIRE(!second);
    CHECK(second.error().code() == Errc::busy);
  }
  CHECK(known() == 0);
}

TEST_CASE("keeper: what somebody else takes away comes back; a failure is told once") {
  test::FakeNode node;
  Running daemon(node);
  daemon.keeper.round("start", now);
  node.kernel.state.ipvs.clear();
  CHECK(daemon.keeper.round("timer", now));
  CHECK(node.weights() == "192.0.2.11:80=10 192.0.2.12:80=20 ");
  node.kernel.state.ipvs.clear();
  node.kernel.state.ipvs[{*model::IpAddress::parse("192.0.2.100"), model::L4::tcp,
                          model::Port{80}}] = {.scheduler = "rr"};
  node.kernel.fail_at = node.kernel.executed;
  CHECK(!daemon.keeper.round("timer", now));
  CHECK(!daemon.keeper.rounds().trouble.empty());
  CHECK(daemon.keeper.round("again", now));
  CHECK(daemon.keeper.rounds().trouble.empty());
  CHECK(daemon.told.find("the node matches again") != std::string::npos);
}

TEST_CASE("health file: what was written is read; what makes no sense is refused") {
  const model::Health health{
      {"web", {.servers = {{"rs1", {false, model::Weight{7}, 30}}, {"rs2", {}}}, .sorry = true}}};
  CHECK(*engine::parse_health(engine::to_text(health)) == health);
  for (const char* wrong : {"", "{}", "[]", R"({"schema_version":2,"services":{}})",
                            R"({"schema_version":1,"services":{"web":{"sorry":1,"servers":{}}}})",
                            R"({"schema_version":1,"services":{"web":{"sorry":false,
            "servers":{"rs1":{"up":true,"most":1,"percent":101}}}}})"})
    CHECK(!engine::parse_health(wrong));
}
