#include "lbctl/health/judge.hpp"

#include <algorithm>
#include <cstdint>

namespace lbctl::health {

bool Judge::take(bool right, Time now) {
  asked_ = true;
  if (right == up_) {
    against_ = 0;
    return false;
  }
  if (++against_ < (up_ ? settings_.fall : settings_.rise)) return false;
  against_ = 0;
  if (up_) fall(now);
  up_ = right;
  since_ = now;
  return true;
}

std::optional<Time> Judge::came_back() const {
  if (!up_ || !was_down_) return std::nullopt;
  return std::max(since_, held_until_);
}

void Judge::fall(Time now) {
  was_down_ = true;
  // Time during which it was held back is not time in use.
  const bool lasted = now - std::max(since_, held_until_) >= settings_.hold_down;
  falls_ = lasted ? 1 : std::min(falls_ + 1, 4U);
  if (settings_.hold_down.count() == 0 || falls_ < 2) return;
  held_until_ = now + settings_.hold_down / (1 << (4 - falls_));
}

Duration Schedule::first() {
  return Duration(std::uniform_int_distribution<Duration::rep>(0, interval_.count())(random_));
}

Duration Schedule::next(bool right, bool up) {
  wrong_ = right || up ? 0 : wrong_ + 1;
  const Duration doubled = interval_ * (1LL << std::min(wrong_, 20U));
  const Duration usual = std::min(doubled, longest_);
  const auto tenth = usual.count() / 10;
  return usual + Duration(std::uniform_int_distribution<Duration::rep>(-tenth, tenth)(random_));
}

}  // namespace lbctl::health
