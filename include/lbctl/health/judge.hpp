// One check of one server: from single answers to a judgement that does not flap. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

namespace lbctl::health {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = std::chrono::milliseconds;

struct JudgeSettings {
  std::uint32_t rise = 2;  ///< right answers in a row until it is up
  std::uint32_t fall = 3;  ///< wrong or missing ones until it is down
  /// How long one that keeps falling is held back at most; 0: never. It is held from the fall on:
  /// not at all for the first fall, then a quarter of this, a half, all of it. A fall counts as
  /// the first when the server was up for this long before it.
  Duration hold_down{0};
  bool up_at_start = true;
  friend bool operator==(const JudgeSettings&, const JudgeSettings&) = default;
};

class Judge {
 public:
  Judge(const JudgeSettings& settings, bool up, Time now)
      : settings_(settings), up_(up), was_down_(!up), since_(now) {}

  /// One answer. True if the judgement changed.
  bool take(bool right, Time now);
  /// Other settings; the judgement and what led to it stay.
  void change(const JudgeSettings& settings) { settings_ = settings; }

  bool up() const { return up_; }
  Time since() const { return since_; }  ///< of the judgement
  /// When it may be used again after it was down; nothing: it was not since it is judged.
  std::optional<Time> came_back() const;
  bool asked() const { return asked_; }  ///< there was an answer, or the lack of one, at all
  /// It fell too often of late: not to be used until then, although it may be up.
  bool held(Time now) const { return now < held_until_; }
  Time held_until() const { return held_until_; }

 private:
  void fall(Time now);

  JudgeSettings settings_;
  bool up_;
  bool asked_ = false;
  bool was_down_;
  Time since_;
  std::uint32_t against_ = 0;  ///< answers in a row that speak against the judgement
  std::uint32_t falls_ = 0;    ///< without a long enough time up between them
  Time held_until_{};
};

/// When a check is made. Checks of many servers spread over time by themselves.
class Schedule {
 public:
  /// While the server is down the interval doubles with each wrong answer up to `longest`.
  Schedule(Duration interval, Duration longest, std::uint32_t seed)
      : interval_(interval), longest_(std::max(interval, longest)), random_(seed) {}

  Duration first();  ///< somewhere within one interval
  Duration next(bool right,
                bool up);  ///< after this answer: a tenth more or less than it should be

 private:
  Duration interval_, longest_;
  std::uint32_t wrong_ = 0;  ///< in a row while down
  std::minstd_rand random_;
};

}  // namespace lbctl::health
