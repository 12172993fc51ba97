#include "checks.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lbctl::daemon {

using config::CheckType;
using config::HealthCheck;
using health::Duration;

namespace {

Duration seconds(std::uint32_t n) {
  return std::chrono::seconds(n);
}

/// Types that this version asks; the others are warned of when the file is read.
bool is_asked(CheckType type) {
  return type != CheckType::quic && type != CheckType::ping;
}

/// One for each family of the VIPs: connections go to the server's address of that family. Through
/// the VIPs one for each of them.
std::vector<ProbeSpec> probes_of(const config::Service& service, const config::Director& director,
                                 const config::Server& server, const config::ServerUse& use) {
  std::vector<ProbeSpec> out;
  std::set<model::Family> done;
  const HealthCheck& check = *service.check;
  const model::Port port =
      check.port != 0 ? model::Port{check.port} : service.server_port(use, service.ports.front());
  for (const model::IpAddress& vip : service.vips) {
    const auto address = server.address_of(vip.family());
    if (!address) continue;  // refused when the file was read
    if (!check.through_vip) {
      if (done.insert(vip.family()).second) out.push_back({*address, port, {}, check});
      continue;
    }
    const auto source = std::ranges::find_if(
        director.addresses, [&](const auto& own) { return own.family() == vip.family(); });
    if (source != director.addresses.end())
      out.push_back({*address, port, {{vip, *source, config::check_mark(server)}}, check});
  }
  return out;
}

health::JudgeSettings judging(const HealthCheck& check) {
  return {.rise = check.rise,
          .fall = check.fall,
          .hold_down = seconds(check.hold_down),
          .up_at_start = check.starts_up};
}

health::ServicePlan policy_of(const config::Service& service) {
  const config::Quorum quorum = service.quorum.value_or(config::Quorum{});
  health::ServicePlan out{.servers = {},
                          .quorum = quorum.up,
                          .hysteresis = quorum.hysteresis,
                          .fail_open = service.health.fail_open,
                          .slow_start = seconds(service.health.slow_start),
                          .sorry = !service.sorry_server.empty(),
                          .track = {}};
  if (!service.track.empty()) out.track = service.track;
  return out;
}

}  // namespace

std::string ProbeSpec::title() const {
  const std::string at = through ? " through " + through->vip.text() : "";
  return fmt::format("{} {}{}", name(check.type), model::endpoint_text(address, port), at);
}

std::string ProbeSpec::id() const {
  const HealthCheck::Tls& tls = check.tls;
  // Lengths before texts that may hold anything.
  return fmt::format(
      "{} every {} {} {} rise {} fall {} {} {} {}:{} {}:{} {} {}:{} {} {}:{} {}:{} {}", title(),
      check.interval, check.timeout, check.max_interval, check.rise, check.fall, check.starts_up,
      check.hold_down, check.path.size(), check.path, check.host.size(), check.host, check.status,
      check.body.size(), check.body, tls.verify, tls.ca_file.size(), tls.ca_file, tls.name.size(),
      tls.name, tls.only_13);
}

Questions questions_of(const config::Config& config, const config::Director& director) {
  Questions out;
  for (const auto& [name, service] : config.services) {
    const bool asked = service.check && is_asked(service.check->type);
    if (!asked && service.track.empty()) continue;
    health::ServicePlan plan = policy_of(service);
    for (const auto& [server, use] : service.servers) {
      health::ServerPlan& one = plan.servers[server];
      one.weight = use.weight;
      if (!asked) continue;
      for (ProbeSpec& probe : probes_of(service, director, config.servers.at(server), use)) {
        const std::string id = probe.id();
        one.checks.push_back(id);
        out.plan.checks[id] = judging(probe.check);
        out.probes.emplace(id, std::move(probe));
      }
    }
    out.plan.services.emplace(name, std::move(plan));
  }
  return out;
}

std::set<health::Place> failed_in(const model::Health& health) {
  std::set<health::Place> out;
  for (const auto& [service, all] : health)
    for (const auto& [server, one] : all.servers)
      if (!one.up) out.insert({service, server});
  return out;
}

}  // namespace lbctl::daemon
