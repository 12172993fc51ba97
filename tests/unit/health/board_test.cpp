#include "lbctl/health/board.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace lbctl;
using namespace lbctl::health;
using namespace std::chrono_literals;
using model::Weight;

namespace {

constexpr Time start = Time{} + 1h;

/// Servers rs1.. of weight 10 with a check each, "rs1.check"; one answer decides.
Plan plan_of(int servers, ServicePlan service = {}) {
  Plan out;
  for (int n = 1; n <= servers; ++n) {
    const std::string server = "rs" + std::to_string(n);
    out.checks[server + ".check"] = {.rise = 1, .fall = 1};
    service.servers[server] = {Weight{10}, {server + ".check"}};
  }
  out.services["web"] = std::move(service);
  return out;
}

Board board_of(Plan plan) {
  Board out;
  out.set(std::move(plan), {}, start);
  return out;
}

model::ServiceHealth web(Board& board, Time now) {
  std::vector<Change> changes;
  return board.health(now, changes).at("web");
}

/// "rs1=10 rs3=5 sorry"
std::string text(const model::ServiceHealth& health) {
  std::string out;
  for (const auto& [server, one] : health.servers)
    if (one.up) out += server + "=" + std::to_string(number(model::limited(Weight{10}, one))) + " ";
  return out + (health.sorry ? "sorry" : "");
}

}  // namespace

TEST_CASE("board: everything is up until it is known to be otherwise") {
  Board board = board_of(plan_of(2));
  CHECK(text(web(board, start)) == "rs1=10 rs2=10 ");
  CHECK(board.take("rs1.check", false, start));
  std::vector<Change> changes;
  CHECK(text(board.health(start, changes).at("web")) == "rs2=10 ");
  CHECK(changes == std::vector<Change>{{"web", "rs1", "up -> down"}});
  CHECK(board.failed() == std::set<Place>{{"web", "rs1"}});
}

TEST_CASE("board: what an earlier daemon knew as failed begins as down") {
  Board board;
  board.set(plan_of(2), {{"web", {.servers = {{"rs2", {.up = false}}}}}}, start);
  CHECK(text(web(board, start)) == "rs1=10 ");
}

TEST_CASE("board: a check that several services share is one; it fails in all of them") {
  Plan plan = plan_of(2);
  plan.services["dns"] = plan.services.at("web");
  Board board = board_of(plan);
  board.take("rs1.check", false, start);
  std::vector<Change> changes;
  const auto health = board.health(start, changes);
  CHECK(text(health.at("dns")) == "rs2=10 ");
  CHECK(text(health.at("web")) == "rs2=10 ");
}

TEST_CASE("board: a server needs all of its checks") {
  Plan plan = plan_of(2);
  plan.checks["v6"] = {.rise = 1, .fall = 1};
  plan.services.at("web").servers.at("rs1").checks.push_back("v6");
  Board board = board_of(plan);
  board.take("v6", false, start);
  CHECK(text(web(board, start)) == "rs2=10 ");
}

TEST_CASE("board: the quorum is lost below up - hysteresis and reached at up") {
  Board board = board_of(plan_of(4, {.quorum = 30, .hysteresis = 10, .sorry = true}));
  const auto lost = [&] { return !web(board, start).servers.empty() && !board.has_quorum("web"); };
  board.take("rs1.check", false, start);
  CHECK(!lost());
  board.take("rs2.check", false, start);
  CHECK(!lost());  // 20
  board.take("rs3.check", false, start);
  CHECK(lost());
  CHECK(text(web(board, start)) == "rs4=10 sorry");
  board.take("rs3.check", true, start);
  CHECK(lost());  // 20 is not enough to come back
  board.take("rs2.check", true, start);
  CHECK(!lost());
}

TEST_CASE("board: when too few are healthy all are used") {
  Board board = board_of(plan_of(4, {.fail_open = 50}));
  board.take("rs1.check", false, start);
  board.take("rs2.check", false, start);
  CHECK(text(web(board, start)) == "rs3=10 rs4=10 ");
  board.take("rs3.check", false, start);
  CHECK(text(web(board, start)) == "rs1=10 rs2=10 rs3=10 rs4=10 ");
  CHECK(board.standings().at({"web", "rs1"}) == Standing::fail_open);
  CHECK(board.standings().at({"web", "rs4"}) == Standing::up);
}

TEST_CASE("board: a server that comes back gets its weight step by step") {
  Board board = board_of(plan_of(2, {.slow_start = 100s}));
  board.take("rs1.check", false, start);
  board.take("rs1.check", true, start + 1s);
  Time now = start + 1s;
  CHECK(text(web(board, now)) == "rs1=1 rs2=10 ");
  CHECK(board.standings().at({"web", "rs1"}) == Standing::starting);
  CHECK(board.next_change(now) == now + 10s);
  CHECK(text(web(board, now + 55s)) == "rs1=5 rs2=10 ");
  CHECK(text(web(board, now + 100s)) == "rs1=10 rs2=10 ");
  CHECK(board.next_change(now + 100s) == std::nullopt);
}

TEST_CASE("board: no slow start where the quorum needs the whole weight") {
  Board board = board_of(plan_of(2, {.quorum = 15, .slow_start = 100s}));
  board.take("rs1.check", false, start);
  board.take("rs1.check", true, start + 1s);
  CHECK(text(web(board, start + 1s)) == "rs1=10 rs2=10 ");
}

TEST_CASE("board: one that flaps is held back, unless the quorum needs it") {
  Plan plan = plan_of(2);
  plan.checks.at("rs1.check").hold_down = 40s;
  Board board = board_of(plan);
  for (const bool right : {false, true, false, true})
    board.take("rs1.check", right, start);
  CHECK(text(web(board, start)) == "rs2=10 ");
  CHECK(board.standings().at({"web", "rs1"}) == Standing::held);
  CHECK(board.next_change(start) == start + 10s);
  CHECK(text(web(board, start + 10s)) == "rs1=10 rs2=10 ");
  board.take("rs1.check", false, start + 10s);
  board.take("rs1.check", true, start + 10s);
  board.take("rs2.check", false, start + 10s);
  CHECK(text(web(board, start + 10s)) == "rs1=10 ");
}

TEST_CASE("board: a server that is down in the tracked service is not used") {
  Plan plan = plan_of(2);
  plan.services["ftp"] = {.servers = {{"rs1", {}}, {"rs2", {}}, {"rs3", {}}}, .track = "web"};
  Board board = board_of(plan);
  board.take("rs1.check", false, start);
  std::vector<Change> changes;
  CHECK(text(board.health(start, changes).at("ftp")) == "rs2=10 rs3=10 ");
  CHECK(board.standings().at({"ftp", "rs1"}) == Standing::tracked);
}

TEST_CASE("board: with another file checks that stay keep their judgement") {
  Board board = board_of(plan_of(2));
  board.take("rs1.check", false, start);
  board.set(plan_of(3), {}, start);
  CHECK(text(web(board, start)) == "rs2=10 rs3=10 ");
}

TEST_CASE("board: a server gets the part of its weight that its agent wants") {
  Board board = board_of(plan_of(2, {.quorum = 15}));
  CHECK(board.want("rs1.check", 50));
  CHECK(!board.want("rs1.check", 50));
  CHECK(text(web(board, start)) == "rs1=5 rs2=10 ");
  CHECK(board.standings().at({"web", "rs1"}) == Standing::reduced);
  CHECK(board.has_quorum("web"));
  CHECK(board.want("rs1.check", 1));
  CHECK(text(web(board, start)) == "rs1=1 rs2=10 ");  // it is there to be used
  CHECK(!board.has_quorum("web"));
  CHECK(board.want("rs1.check", 0));
  CHECK(web(board, start).servers.at("rs1") == model::ServerHealth{.percent = 0});
  CHECK(board.want("rs1.check", 100));
  CHECK(text(web(board, start)) == "rs1=10 rs2=10 ");
  CHECK(!board.want("nobody", 10));
}

TEST_CASE("board: what is wanted is forgotten when all are used, as they may not be asked") {
  Board board = board_of(plan_of(2, {.fail_open = 100}));
  board.want("rs1.check", 20);
  board.take("rs1.check", false, start);
  CHECK(text(web(board, start)) == "rs1=10 rs2=10 ");
}

TEST_CASE("board: what an earlier daemon's agents wanted goes on until they are asked") {
  Board board;
  board.set(plan_of(2), {{"web", {.servers = {{"rs2", {.percent = 30}}}}}}, start);
  CHECK(text(web(board, start)) == "rs1=10 rs2=3 ");
}
