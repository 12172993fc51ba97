// All checks and what follows from them for every service: model::Health. Pure: it is told the
// time and the answers, and opens no socket.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lbctl/health/judge.hpp"
#include "lbctl/model/health.hpp"

namespace lbctl::health {

/// A check that is made, whoever needs it: equal checks have one id.
using CheckId = std::string;

struct ServerPlan {
  model::Weight weight{1};      ///< the file's
  std::vector<CheckId> checks;  ///< all of them must be right
};

struct ServicePlan {
  std::map<std::string, ServerPlan> servers;
  /// Weights of healthy servers: reached at `quorum`, lost below `quorum - hysteresis`.
  std::uint32_t quorum = 1, hysteresis = 0;
  /// When less than this part of the servers, in percent, is healthy, all are used: rather the
  /// checks are wrong than all of them dead.
  std::uint32_t fail_open = 0;
  Duration slow_start{0};  ///< from coming back until the whole weight
  bool sorry = false;      ///< there is a sorry server
  /// A server that is not healthy in this service is not here, either.
  std::optional<std::string> track;
};

struct Plan {
  std::map<CheckId, JudgeSettings> checks;
  std::map<std::string, ServicePlan> services;  ///< `track` goes in no circle
};

/// What an operator wants to know of one server in one service.
enum class Standing : std::uint8_t {
  up,
  starting,  ///< up, with a part of its weight
  reduced,   ///< up, with the part of its weight that its agent wants; it may want none
  held,      ///< its checks are right, but it fell too often of late
  down,
  tracked,    ///< healthy by itself, but not in the service that is tracked
  fail_open,  ///< not healthy, used all the same
};
std::string_view name(Standing standing);
/// Whether the server is there for connections.
bool used(Standing standing);

/// What changed with an answer or with time, for log and events.
struct Change {
  std::string service;
  std::string server;  ///< empty: of the whole service
  std::string what;    ///< "up -> down", "quorum lost"
  friend bool operator==(const Change&, const Change&) = default;
};

/// (service, server)
using Place = std::pair<std::string, std::string>;

class Board {
 public:
  /// Another file. Checks that stay keep their judgement; new ones begin as
  /// JudgeSettings says, or as an earlier daemon `left` them: as down if all servers that they are
  /// for were, with the part of the weight that was wanted, and without the quorum.
  void set(Plan plan, const model::Health& left, Time now);

  /// The answer of a check. True if its judgement changed.
  bool take(const CheckId& id, bool right, Time now);
  /// The part of the weight, in percent, that the answer asked for. True if it was another before.
  bool want(const CheckId& id, std::uint8_t percent);

  /// What follows at this time. Changes since the last call are appended.
  model::Health health(Time now, std::vector<Change>& changes);
  /// When health() may say something else without any answer; nothing: never.
  std::optional<Time> next_change(Time now) const;

  const Judge* judge(const CheckId& id) const;
  /// As of the last health().
  const std::map<Place, Standing>& standings() const { return standings_; }
  bool has_quorum(const std::string& service) const { return !lost_.contains(service); }
  /// Servers that are out, to be told to the next daemon.
  std::set<Place> failed() const;

 private:
  struct Look;  ///< at one server
  Look look(const ServerPlan& server, Time now) const;
  bool healthy_elsewhere(const std::string& service, const std::string& server, Time now) const;
  model::ServiceHealth of(const std::string& name, const ServicePlan& service, Time now);
  bool update_quorum(const std::string& name, const ServicePlan& service, std::uint64_t weights);
  void begin(const CheckId& id, const JudgeSettings& settings, const model::Health& left, Time now);
  std::map<std::string, Look> looks(const ServicePlan& service, Time now) const;

  Plan plan_;
  std::map<CheckId, Judge> judges_;
  std::map<CheckId, std::uint8_t> wanted_;  ///< percent; those left out: 100
  std::set<std::string> lost_;              ///< services without their quorum
  std::map<Place, Standing> standings_;
};

}  // namespace lbctl::health
