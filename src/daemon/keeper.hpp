// What the daemon knows and decides, without an event loop: the file in force, the servers' health,
// what the last rounds did.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "checks.hpp"
#include "lbctl/daemon/daemon.hpp"
#include "teller.hpp"

namespace lbctl::daemon {

/// Upper bounds of the latency histogram, in microseconds.
inline constexpr std::array<std::int64_t, 8> latency_bounds = {1000,  2500,   5000,    10000,
                                                               50000, 250000, 1000000, 5000000};

/// What a check saw so far.
struct CheckRecord {
  std::uint64_t right = 0, wrong = 0, unknown = 0;
  std::string last;  ///< why the last answer was not right; empty if it was
  std::chrono::microseconds took{};
  std::array<std::uint64_t, latency_bounds.size()> within{};  ///< not cumulated
  std::chrono::microseconds sum{};
};

/// What all rounds so far did.
struct RoundRecord {
  std::uint64_t good = 0, failed = 0, changes = 0;
  std::optional<std::int64_t> last, last_good;  ///< seconds since 1970
  std::string trouble;                          ///< of the last one; empty: none
};

class Keeper {
 public:
  using Time = health::Time;

  Keeper(Node& node, engine::HealthPost& post, Teller& teller)
      : node_(node), post_(post), teller_(teller) {}

  /// Reads the file. A wrong one is told of, and what was in force stays.
  bool load(Time now);
  bool has_file() const { return config_.has_value(); }
  const config::Config& config() const { return *config_; }
  const std::string& node_name() const { return name_; }
  bool file_is_good() const { return file_is_good_; }
  std::int64_t loaded_at() const { return loaded_at_; }

  const std::string& file_hash() const { return file_hash_; }  ///< see config::Loaded

  /// All that are to be asked.
  const std::map<health::CheckId, ProbeSpec>& probes() const { return questions_.probes; }
  /// Takes an answer; true if something follows from it, so that a round is due.
  bool take(const health::CheckId& id, const Verdict& verdict, Time now);
  const health::Board& board() const { return board_; }
  const std::map<health::CheckId, CheckRecord>& checks() const { return checks_; }

  /// One run of the engine with the servers' health as it is now. False: try again soon.
  bool round(const std::string& why, Time now);
  const RoundRecord& rounds() const { return rounds_; }
  const std::optional<Round>& last() const { return last_; }

  /// Told when a service reached (true) or lost its quorum, before the kernel is.
  using QuorumChanged = std::function<void(const std::string& service, bool quorum)>;
  void on_quorum(QuorumChanged call) { quorum_changed_ = std::move(call); }

  Node& node() { return node_; }
  Teller& teller() { return teller_; }

 private:
  void tell_file(const config::Loaded& loaded);
  void tell_health(const std::vector<health::Change>& changes);
  bool tell_round(const std::string& why, const Round& round);
  bool tell_trouble(const std::string& why, const std::string& text, bool busy);

  Node& node_;
  engine::HealthPost& post_;
  Teller& teller_;
  std::optional<config::Config> config_;
  std::string name_;
  bool file_is_good_ = false;
  std::int64_t loaded_at_ = 0;
  std::string file_hash_;
  Questions questions_;
  health::Board board_;
  std::map<health::CheckId, CheckRecord> checks_;
  std::optional<model::Health> written_;
  RoundRecord rounds_;
  std::optional<Round> last_;
  QuorumChanged quorum_changed_;
};

}  // namespace lbctl::daemon
