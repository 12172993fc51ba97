#include "lbctl/health/board.hpp"

#include <algorithm>
#include <ranges>
#include <utility>

namespace lbctl::health {

using model::Weight;

namespace {

/// A ramp has so many steps: each is a change in the kernel.
constexpr int ramp_steps = 10;

/// At least 1: it is there to be used.
Weight ramp(Weight full, Duration since, Duration whole) {
  const auto step = std::clamp<Duration::rep>(since.count() * ramp_steps / whole.count(), 0,
                                              static_cast<Duration::rep>(ramp_steps));
  const auto part = static_cast<std::uint64_t>(number(full)) * static_cast<std::uint64_t>(step);
  return Weight{static_cast<std::uint16_t>(std::max<std::uint64_t>(part / ramp_steps, 1))};
}

Duration since(Time then, Time now) {
  return std::chrono::duration_cast<Duration>(now - then);
}

model::ServerHealth known(const model::Health& health, const std::string& service,
                          const std::string& server) {
  const auto there = health.find(service);
  if (there == health.end()) return {};
  const auto one = there->second.servers.find(server);
  return one == there->second.servers.end() ? model::ServerHealth{} : one->second;
}

}  // namespace

std::string_view name(Standing standing) {
  switch (standing) {
    case Standing::up:
      return "up";
    case Standing::starting:
      return "starting";
    case Standing::reduced:
      return "reduced";
    case Standing::held:
      return "held";
    case Standing::down:
      return "down";
    case Standing::tracked:
      return "tracked";
    case Standing::fail_open:
      return "fail_open";
  }
  return "unknown";
}

bool used(Standing standing) {
  return standing == Standing::up || standing == Standing::starting ||
         standing == Standing::reduced || standing == Standing::fail_open;
}

struct Board::Look {
  Weight full{};                 ///< the file's
  bool up = true;                ///< every check is right
  bool elsewhere = true;         ///< healthy in the service that is tracked, too
  std::optional<Time> held;      ///< until then
  std::optional<Time> returned;  ///< it was down before that
  bool used = false;
  Weight most{65535};
  std::uint8_t percent = 100;
  Standing standing = Standing::up;

  bool starts() const { return most < full; }
  /// What it is worth when it has begun, and now.
  std::uint64_t whole() const { return number(model::limited(full, {.percent = percent})); }
  std::uint64_t now() const {
    return number(model::limited(full, {.most = most, .percent = percent}));
  }
};

/// As the earlier daemon left the servers that the check is for.
void Board::begin(const CheckId& id, const JudgeSettings& settings, const model::Health& left,
                  Time now) {
  bool some = false, all_down = true;
  std::uint8_t percent = 100;
  for (const auto& [name, service] : plan_.services)
    for (const auto& [server, member] : service.servers) {
      if (std::ranges::find(member.checks, id) == member.checks.end()) continue;
      const model::ServerHealth one = known(left, name, server);
      some = true;
      all_down = all_down && !one.up;
      percent = std::min(percent, one.percent);
    }
  const bool down = some && all_down;
  judges_.emplace(id, Judge(settings, settings.up_at_start && !down, now));
  want(id, percent);
}

void Board::set(Plan plan, const model::Health& left, Time now) {
  plan_ = std::move(plan);
  const auto gone = [&](const auto& entry) { return !plan_.checks.contains(entry.first); };
  std::erase_if(judges_, gone);
  std::erase_if(wanted_, gone);
  for (const auto& [id, settings] : plan_.checks) {
    const auto known = judges_.find(id);
    if (known == judges_.end())
      begin(id, settings, left, now);
    else
      known->second.change(settings);
  }
  for (const auto& [name, service] : left)
    if (service.sorry) lost_.insert(name);
  std::erase_if(lost_, [&](const auto& name) { return !plan_.services.contains(name); });
  std::erase_if(standings_, [&](const auto& entry) {
    const auto service = plan_.services.find(entry.first.first);
    return service == plan_.services.end() || !service->second.servers.contains(entry.first.second);
  });
}

bool Board::want(const CheckId& id, std::uint8_t percent) {
  if (!judges_.contains(id)) return false;
  const auto [wanted, added] = wanted_.emplace(id, 100);
  return std::exchange(wanted->second, percent) != percent;
}

bool Board::take(const CheckId& id, bool right, Time now) {
  const auto it = judges_.find(id);
  return it != judges_.end() && it->second.take(right, now);
}

const Judge* Board::judge(const CheckId& id) const {
  const auto it = judges_.find(id);
  return it == judges_.end() ? nullptr : &it->second;
}

bool Board::healthy_elsewhere(const std::string& service, const std::string& server,
                              Time now) const {
  const auto found = plan_.services.find(service);
  if (found == plan_.services.end()) return true;
  const auto member = found->second.servers.find(server);
  if (member == found->second.servers.end()) return true;
  const Look there = look(member->second, now);
  return there.up && !there.held &&
         (!found->second.track || healthy_elsewhere(*found->second.track, server, now));
}

Board::Look Board::look(const ServerPlan& server, Time now) const {
  Look out;
  out.full = server.weight;
  for (const CheckId& id : server.checks) {
    const Judge& judge = judges_.at(id);
    out.up = out.up && judge.up();
    if (const auto wanted = wanted_.find(id); wanted != wanted_.end())
      out.percent = std::min(out.percent, wanted->second);
    if (judge.held(now)) out.held = std::max(out.held.value_or(Time{}), judge.held_until());
    if (const auto back = judge.came_back())
      out.returned = std::max(out.returned.value_or(Time{}), *back);
  }
  return out;
}

std::map<std::string, Board::Look> Board::looks(const ServicePlan& service, Time now) const {
  std::map<std::string, Look> out;
  for (const auto& [name, server] : service.servers) {
    Look one = look(server, now);
    if (service.track) one.elsewhere = healthy_elsewhere(*service.track, name, now);
    one.used = one.up && !one.held && one.elsewhere;
    one.standing = !one.up          ? Standing::down
                   : !one.elsewhere ? Standing::tracked
                   : one.held       ? Standing::held
                                    : Standing::up;
    if (one.returned && service.slow_start.count() != 0)
      one.most = std::min(one.full, ramp(one.full, since(*one.returned, now), service.slow_start));
    if (one.used && one.percent < 100) one.standing = Standing::reduced;
    if (one.used && one.starts()) one.standing = Standing::starting;
    out.emplace(name, one);
  }
  return out;
}

bool Board::update_quorum(const std::string& name, const ServicePlan& service,
                          std::uint64_t weights) {
  const bool lost = lost_.contains(name);
  const std::uint64_t least = lost ? service.quorum : service.quorum - service.hysteresis;
  if (weights >= least) {
    lost_.erase(name);
  } else {
    lost_.insert(name);
  }
  return !lost_.contains(name);
}

model::ServiceHealth Board::of(const std::string& name, const ServicePlan& service, Time now) {
  auto all = looks(service, now);
  std::uint64_t weights = 0;
  for (const auto& [server, one] : all)
    if (one.used) weights += one.whole();
  // Damping is for peace, not for an outage: who was held back longest comes first.
  std::vector<Look*> held;
  for (auto& [server, one] : all)
    if (one.standing == Standing::held) held.push_back(&one);
  std::ranges::sort(held, {}, [](const Look* one) { return *one->held; });
  for (Look* one : held) {
    if (weights >= service.quorum) break;
    one->used = true;
    one->most = one->full;
    one->standing = one->percent < 100 ? Standing::reduced : Standing::up;
    weights += one->whole();
  }
  const bool quorum = update_quorum(name, service, weights);
  std::uint64_t begun = 0;
  for (const auto& [server, one] : all)
    if (one.used) begun += one.now();
  const bool no_ramp = begun < std::min<std::uint64_t>(weights, service.quorum);
  const auto used = static_cast<std::uint64_t>(
      std::ranges::count_if(all, [](const auto& entry) { return entry.second.used; }));
  const bool open = used * 100 < all.size() * std::uint64_t{service.fail_open};

  model::ServiceHealth out;
  for (auto& [server, one] : all) {
    if (one.starts() && (no_ramp || open)) {
      one.most = one.full;
      if (one.used) one.standing = one.percent < 100 ? Standing::reduced : Standing::up;
    }
    if (open && !one.used) {
      one.standing = Standing::fail_open;
      one.most = one.full;
      one.percent = 100;
    }
    out.servers[server] = {one.used || open, one.used || open ? one.most : one.full, one.percent};
    standings_[{name, server}] = one.standing;
  }
  out.sorry = service.sorry && !quorum && !open;
  return out;
}

model::Health Board::health(Time now, std::vector<Change>& changes) {
  const auto before = standings_;
  model::Health out;
  for (const auto& [name, service] : plan_.services) {
    const bool had = has_quorum(name);
    out[name] = of(name, service, now);
    if (had != has_quorum(name))
      changes.push_back({name, "", had ? "quorum lost" : "quorum reached"});
  }
  for (const auto& [place, standing] : standings_) {
    const auto old = before.find(place);
    const Standing was = old == before.end() ? Standing::up : old->second;
    if (was == standing) continue;
    changes.push_back(
        {place.first, place.second,
         std::string(health::name(was)) + " -> " + std::string(health::name(standing))});
  }
  return out;
}

std::optional<Time> Board::next_change(Time now) const {
  std::optional<Time> out;
  const auto at = [&](Time time) {
    if (time > now && (!out || time < *out)) out = time;
  };
  for (const auto& [id, judge] : judges_)
    if (judge.up()) at(judge.held_until());
  for (const auto& [name, service] : plan_.services) {
    if (service.slow_start.count() == 0) continue;
    for (const auto& [server, member] : service.servers) {
      const Look one = look(member, now);
      if (!one.up || !one.returned) continue;
      for (int step = 1; step <= ramp_steps; ++step)
        at(*one.returned + service.slow_start * step / ramp_steps);
    }
  }
  return out;
}

std::set<Place> Board::failed() const {
  std::set<Place> out;
  for (const auto& [place, standing] : standings_)
    if (standing == Standing::down || standing == Standing::held) out.insert(place);
  return out;
}

}  // namespace lbctl::health
