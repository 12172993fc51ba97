// `drain` and `undrain`: the operator's wish is written down, then the node is made to match.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "lbctl/engine/health_file.hpp"
#include "lbctl/plan/render.hpp"
#include "report.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

constexpr auto tick = std::chrono::seconds(1);

std::string text(const model::DrainIntent& intent) {
  return intent.service ? fmt::format("server {} in service {}", intent.server, *intent.service)
                        : fmt::format("server {}", intent.server);
}

/// Both must be there, and have to do with each other.
Result<> check_target(const config::Config& config, const std::string& server,
                      const std::optional<std::string>& service) {
  if (!config.servers.contains(server))
    return fail(Error(Errc::not_found, fmt::format("the file has no server \"{}\"", server))
                    .with_hint("lbctl check -j lists the nodes"));
  if (!service) return {};
  const auto found = config.services.find(*service);
  if (found == config.services.end())
    return fail(Errc::not_found, fmt::format("the file has no service \"{}\"", *service));
  if (!found->second.servers.contains(server))
    return fail(Errc::not_found,
                fmt::format("service \"{}\" does not use server \"{}\"", *service, server));
  return {};
}

/// A service that loses its last server answers no new connection.
std::vector<std::string> emptied(const config::Desired& desired) {
  std::vector<std::string> out;
  for (const auto& [key, service] : desired.state.ipvs)
    if (service.destinations.empty())
      out.push_back(fmt::format("{} has no server left for new connections", key.text()));
  return out;
}

using Edit = std::function<Result<>(engine::DrainList&)>;

/// What the node would hold with the list of drains edited.
Result<Wanted> edited(const Options& options, const config::Config& config, Here here,
                      const Edit& edit) {
  auto drains = engine::read_drains(drain_places(options, here.node));
  if (!drains) return fail(std::move(drains.error()));
  if (auto done = edit(*drains); !done) return fail(std::move(done.error()));
  const auto health = engine::read_health(options.state_dir);
  if (!health) return fail(health.error());
  auto desired = resolve_here(config, std::move(here), *drains, *health);
  if (!desired) return fail(std::move(desired.error()));
  if (desired->role != config::Role::director)
    return fail(Error(Errc::invalid,
                      fmt::format("{} is a real server: drains are a director's", desired->node))
                    .with_hint("run it on each director"));
  return Wanted{std::move(*desired), std::move(*drains)};
}

Exit preview(const Options& options, std::string_view command, const config::Config& config,
             const Here& here, const Edit& edit) {
  const auto wanted = edited(options, config, here, edit);
  if (!wanted) return give_up(options, command, wanted.error());
  return show_plan(options, command, *wanted);
}

struct Outcome {
  config::Desired desired;
  engine::Report report;
};

/// Changes the list of drains under the lock, and applies with it.
Result<Outcome> change(const Options& options, const config::Config& config, const Here& here,
                       const Edit& edit) {
  auto session = Session::open(options);
  if (!session) return fail(std::move(session.error()));
  listen_for_stop();
  auto wanted = edited(options, config, here, edit);
  if (!wanted) return fail(std::move(wanted.error()));
  const auto places = drain_places(options, here.node);
  if (auto written = engine::write_drains(places, wanted->drains); !written)
    return fail(std::move(written.error()));
  const engine::Goal goal = goal_of(wanted->desired, options);
  auto report = session->engine().apply(goal, session->state, stop_asked);
  if (!report) return fail(std::move(report.error()));
  if (report->ok())
    if (auto forgotten = engine::forget_health(session->state); !forgotten)
      return fail(std::move(forgotten.error()));
  return Outcome{std::move(wanted->desired), std::move(*report)};
}

void print_outcome(const Options& options, std::string_view command, const Outcome& outcome) {
  std::vector<std::string> warnings = outcome.desired.warnings;
  std::ranges::move(emptied(outcome.desired), std::back_inserter(warnings));
  if (options.json) {
    Json json = document(command);
    json["node"] = outcome.desired.node;
    print_report(std::move(json), outcome.report, warnings);
    return;
  }
  for (const std::string& warning : warnings)
    warn(warning);
  print_report(title(outcome.desired), "nothing to do: the kernel is as asked", outcome.report);
}

bool belongs(const model::ServiceKey& key, const config::Service& service) {
  const auto has = [](const auto& all, const auto& one) {
    return std::ranges::find(all, one) != all.end();
  };
  if (service.fwmark != 0) return key.fwmark == service.fwmark;
  return key.fwmark == 0 && has(service.vips, key.address) && has(service.ports, key.port) &&
         std::ranges::any_of(service.protocols, [&](config::Protocol protocol) {
           return config::layer4(protocol) == key.protocol;
         });
}

/// What of an intent is still there.
struct Left {
  std::size_t destinations = 0;
  std::uint64_t connections = 0;
  model::UnixTime deadline{};
};

Left left_of(const engine::Report& report, const config::Config& config,
             const model::DrainIntent& intent) {
  Left out;
  const config::Server& server = config.servers.at(intent.server);
  for (const auto& [id, drain] : report.stays.destinations) {
    if (!drain.asked ||
        std::ranges::find(server.addresses, id.key.address) == server.addresses.end())
      continue;
    if (intent.service && !belongs(id.service, config.services.at(*intent.service))) continue;
    ++out.destinations;
    out.connections += plan::connections(report.figures.ipvs_counters, id);
    out.deadline = std::max(out.deadline, drain.deadline);
  }
  return out;
}

/// Applies once a second until the server is idle. It is idle when its destinations have gone; if
/// that was because the time is over, connections were cut off, and that is no success.
Exit wait_until_idle(const Options& options, const config::Config& config, const Here& here,
                     const model::DrainIntent& intent, engine::Report report) {
  bool cut = false;
  for (;;) {
    const Left left = left_of(report, config, intent);
    if (left.destinations == 0) break;
    const auto now = engine::Engine::system_time();
    fmt::print(stderr, "lbctl: {}: {} left, at most {} more\n", text(intent),
               count(left.connections, "connection"),
               plan::duration(number(left.deadline) - number(now)));
    std::this_thread::sleep_for(tick);
    if (stop_asked()) {
      fmt::print(stderr, "lbctl: no longer waiting; the drain goes on\n");
      return Exit::failed;
    }
    auto next = change(options, config, here, [](engine::DrainList&) { return Result<>(); });
    if (!next) return give_up(options, "drain", next.error());
    if (!next->report.ok()) {
      print_outcome(options, "drain", *next);
      return Exit::failed;
    }
    cut = cut || std::ranges::any_of(next->report.operations, [](const model::Operation& o) {
            return o.why == model::Reason::deadline;
          });
    report = std::move(next->report);
  }
  fmt::print(stderr, "lbctl: {}: {}\n", text(intent),
             cut ? "its time is over; connections were cut off" : "idle");
  return cut ? Exit::failed : Exit::done;
}

}  // namespace

Exit drain(const Options& options) {
  const auto config = load(options, "drain");
  if (!config) return config.error();
  const auto here = find_here(*config, options);
  if (!here) return give_up(options, "drain", here.error());
  const model::DrainIntent intent{.server = options.server,
                                  .service = options.service,
                                  .since = engine::Engine::system_time(),
                                  .seconds = options.deadline,
                                  .until = options.until,
                                  .persistent = options.persist};
  const auto edit = [&](engine::DrainList& drains) -> Result<> {
    if (auto ok = check_target(*config, intent.server, intent.service); !ok) return ok;
    engine::add_drain(drains, intent);
    return {};
  };
  if (options.dry_run) return preview(options, "drain", *config, *here, edit);
  const auto outcome = change(options, *config, *here, edit);
  if (!outcome) return give_up(options, "drain", outcome.error());
  print_outcome(options, "drain", *outcome);
  if (!outcome->report.ok()) return Exit::failed;
  return options.wait ? wait_until_idle(options, *config, *here, intent, outcome->report)
                      : Exit::done;
}

Exit undrain(const Options& options) {
  const auto config = load(options, "undrain");
  if (!config) return config.error();
  const auto here = find_here(*config, options);
  if (!here) return give_up(options, "undrain", here.error());
  const auto edit = [&](engine::DrainList& drains) -> Result<> {
    if (engine::remove_drain(drains, options.server, options.service)) return {};
    const model::DrainIntent none{.server = options.server, .service = options.service};
    return fail(Error(Errc::not_found, fmt::format("no drain of {} is in force here", text(none)))
                    .with_hint("lbctl status lists the drains"));
  };
  if (options.dry_run) return preview(options, "undrain", *config, *here, edit);
  const auto outcome = change(options, *config, *here, edit);
  if (!outcome) return give_up(options, "undrain", outcome.error());
  print_outcome(options, "undrain", *outcome);
  return outcome->report.ok() ? Exit::done : Exit::failed;
}

}  // namespace lbctl::cli
