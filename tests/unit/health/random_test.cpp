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
      wanted[id] = 100;
    }
    agents = upto(1, 0) == 1;
    plan.services["web"] = std::move(web);
  }
  std::uint32_t upto(std::uint32_t most, std::uint32_t least = 1) {
    return std::uniform_int_distribution<std::uint32_t>(std::min(least, most), most)(random);
  }
  const ServicePlan& web() const { return plan.services.at("web"); }
  /// One check's answer, or what its agent wants.
  void happen(Board& board, Time now) {
    const std::string id = "check" + std::to_string(upto(8));
    if (!board.judge(id)) return;
    if (agents && upto(3, 0) == 0) {
      wanted[id] = static_cast<std::uint8_t>(upto(100, 0));
      board.want(id, wanted[id]);
    } else {
      board.take(id, upto(1, 0) == 1, now);
    }
  }
  /// The file's weight as far as its agent wants it.
  std::uint64_t whole(const ServerPlan& server) const {
    return number(model::limited(server.weight, {.percent = wanted.at(server.checks.front())}));
  }

  std::mt19937 random;  // minstd_rand begins alike for small seeds
  Plan plan;
  bool agents = false;
  std::map<CheckId, std::uint8_t> wanted;
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
    if (one.up && world.whole(server) != 0) CHECK(number(gets) != 0);
    if (one.up) out.used += number(gets);
    if (board.judge(server.checks.front())->up()) out.right += world.whole(server);
  }
  return out;
}

/// One that is held back is used only if the others make no quorum.
void check_damping(const World& world, const Board& board, const model::ServiceHealth& health,
                   Time now) {
  if (world.web().fail_open != 0) return;
  std::uint64_t others = 0;
  bool held_used = false;
  for (const auto& [name, server] : world.web().servers) {
    if (!health.servers.at(name).up) continue;
    if (board.judge(server.checks.front())->held(now))
      held_used = true;
    else
      others += world.whole(server);
  }
  if (held_used) CHECK(others < world.web().quorum);
}

/// The daemon dies and the next one begins: nobody comes, nobody goes.
void check_restart(const World& world, const model::ServiceHealth& health, Time now) {
  if (world.web().fail_open != 0) return;
  Board next;
  next.set(world.plan, {{"web", health}}, now);
  std::vector<Change> changes;
  const auto again = next.health(now, changes).at("web");
  CHECK(again.sorry == health.sorry);
  for (const auto& [name, one] : health.servers) {
    CHECK(again.servers.at(name).up == one.up);
    CHECK(again.servers.at(name).percent == one.percent);
  }
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
      world.happen(board, now);
      std::vector<Change> changes;
      const auto health = board.health(now, changes).at("web");
      const Sums sums = check_weights(world, board, health);
      // Neither damping nor slow start takes from the quorum what the checks would give it.
      CHECK(sums.used >= std::min<std::uint64_t>(world.web().quorum, sums.right));
      CHECK(health.sorry == (world.web().sorry && !board.has_quorum("web")));
      check_damping(world, board, health, now);
      check_restart(world, health, now);
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
