#include "lbctl/health/judge.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace lbctl::health;
using namespace std::chrono_literals;

namespace {

constexpr Time start{};

/// Answers one second apart; "+" right, "-" wrong. The judgement after each: "U" or "d".
std::string judged(Judge& judge, std::string_view answers, Time& now) {
  std::string out;
  for (const char answer : answers) {
    now += 1s;
    judge.take(answer == '+', now);
    out += judge.up() ? 'U' : 'd';
  }
  return out;
}

/// From up to down and up again.
void flap(Judge& judge, Time& now) {
  judged(judge, "--++", now);
}

}  // namespace

TEST_CASE("judge: fall and rise count answers in a row") {
  Judge judge({.rise = 2, .fall = 3}, true, start);
  Time now = start;
  CHECK(judged(judge, "--+--+---", now) == "UUUUUUUUd");
  CHECK(judged(judge, "+-+-++-", now) == "dddddUU");
}

TEST_CASE("judge: only one that was down has come back") {
  Judge judge({.rise = 1, .fall = 1}, true, start);
  Time now = start;
  CHECK(!judge.came_back());
  judged(judge, "-", now);
  CHECK(!judge.came_back());
  judged(judge, "+", now);
  CHECK(judge.came_back() == now);
}

TEST_CASE("judge: one that keeps falling is held longer each time, up to hold_down") {
  Judge judge({.rise = 2, .fall = 2, .hold_down = 40s}, true, start);
  Time now = start + 1h;
  std::vector<long> held;
  for (int n = 0; n < 5; ++n) {
    const Time fell = now + 2s;
    flap(judge, now);
    held.push_back(judge.held(now) ? (judge.held_until() - fell) / 1s : 0);
  }
  CHECK(held == std::vector<long>{0, 10, 20, 40, 40});
}

TEST_CASE("judge: after hold_down in use a fall is the first again") {
  Judge judge({.rise = 2, .fall = 2, .hold_down = 40s}, true, start);
  Time now = start + 1h;
  flap(judge, now);
  flap(judge, now);
  CHECK(judge.held(now));
  now = judge.held_until() + 37s;
  flap(judge, now);  // too early: it counts on
  CHECK(judge.held(now));
  now = judge.held_until() + 40s;
  flap(judge, now);
  CHECK(!judge.held(now));
}

TEST_CASE("schedule: a tenth around the interval, doubled while down, never above the longest") {
  Schedule schedule(1000ms, 5000ms, 1);
  CHECK(schedule.first() <= 1000ms);
  const auto near = [](Duration have, Duration want) {
    return have >= want * 9 / 10 && have <= want * 11 / 10;
  };
  CHECK(near(schedule.next(false, true), 1000ms));
  CHECK(near(schedule.next(false, false), 2000ms));
  CHECK(near(schedule.next(false, false), 4000ms));
  CHECK(near(schedule.next(false, false), 5000ms));
  CHECK(near(schedule.next(true, false), 1000ms));
}

TEST_CASE("schedule: no two of many are alike") {
  std::set<Duration> seen;
  for (std::uint32_t seed = 1; seed <= 50; ++seed)
    seen.insert(Schedule(100000ms, 0ms, seed * 2654435761U).first());
  CHECK(seen.size() > 45);
}
