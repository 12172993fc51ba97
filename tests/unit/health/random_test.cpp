// Whatever the servers answer, in any order and at any time: what must always hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <span>

#include "lbctl/health/board.hpp"

using namespace lbctl;
using namespace lbctl::health;
using namespace std::chrono_literals;
using model::Weight;

namespace {

constexpr Duration hold = 60s;

struct World {
  explicit World(std::uint32_t seed) : random(seed) {
    ServicePlan web{.quorum = upto(60), .slow_start = upto(2) * 30s, .sorry = upto(1, 0) == 1};
    web.hysteresis = upto(web.quorum - 1, 0);
    if (!web.sorry) web.fail_open = upto(100, 0);
    for (std::uint32_t n = 1; n <= upto(8); ++n) {
      const std::string id = "check" + std::to_string(n);
      plan.checks[id] = {.rise = upto(3), .fall = upto(3), .hold_down = hold};
      web.servers["rs" + std::to_string(n)] = {Weight{static_cast<std::uint16_t>(upto(20, 0))},
                                               {id}};
    }
    plan.services["web"] = std::move(web);
  }
  std::uint32_t upto(std::uint32_t most, std::uint32_t least = 1) {
    return std::uniform_int_distribution<std::uint32_t>(std::min(least, most), most)(random);
  }
  const ServicePlan& web() const { return plan.services.at("web"); }

  std::mt19937 random;  // minstd_rand begins alike for small seeds
  Plan plan;
};

/// Weights that are in use, and those of all whose checks are right.
struct Sums {
  std::uint64_t used = 0, right = 0;
};

Sums check_weights(const World& world, const Board& board, const model::ServiceHealth& health) {
  Sums out;
  for (const auto& [name, server] : world.web().servers) {
    const auto& one = health.servers.at(name);
    const Weight gets = model::limited(server.weight, one);
    CHECK(gets <= server.weight);
    // A server that is used at all is never reduced to nothing.
    if (one.up && number(server.weight) != 0) CHECK(number(gets) != 0);
    if (one.up) out.used += number(gets);
    if (board.judge(server.checks.front())->up()) out.right += number(server.weight);
  }
  return out;
}

bool all_quick(std::span<const Time> times) {
  return std::ranges::adjacent_find(times, [](Time a, Time b) { return b - a >= hold; }) ==
         times.end();
}

}  // namespace

TEST_CASE("board, random: weights, quorum and damping hold after every event") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    World world(seed);
    Board board;
    Time now = Time{} + 1h;
    board.set(world.plan, {}, now);
    std::map<std::string, bool> up;                 // as last told
    std::map<std::string, std::vector<Time>> rose;  // when each came into use
    for (int event = 0; event < 300; ++event) {
      now += Duration(world.upto(5000, 0));
      const std::string n = std::to_string(world.upto(8));
      if (board.judge("check" + n)) board.take("check" + n, world.upto(1, 0) == 1, now);
      std::vector<Change> changes;
      const auto health = board.health(now, changes).at("web");
      const Sums sums = check_weights(world, board, health);
      // Neither damping nor slow start takes from the quorum what the checks would give it.
      CHECK(sums.used >= std::min<std::uint64_t>(world.web().quorum, sums.right));
      CHECK(health.sorry == (world.web().sorry && !board.has_quorum("web")));
      if (sums.right >= world.web().quorum) CHECK(board.has_quorum("web"));

      const bool scarce = sums.right < world.web().quorum + 20 || world.web().fail_open != 0;
      for (const auto& [name, one] : health.servers) {
        if (!one.up || up[name]) {
          up[name] = one.up;
          continue;
        }
        up[name] = true;
        auto& times = rose[name];
        if (scarce) times.clear();  // it may have been needed
        times.push_back(now);
        // Four quick falls in a row: the last return was held back by all of hold.
        if (times.size() >= 5) CHECK(!all_quick(std::span(times).last(5)));
      }
    }
  }
}
