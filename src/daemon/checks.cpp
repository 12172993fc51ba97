#include "checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lbctl/config/resolve.hpp"

namespace lbctl::daemon {

using config::CheckType;
using config::HealthCheck;
using health::Duration;

namespace {

Duration seconds(std::uint32_t n) {
  return std::chrono::seconds(n);
}

/// 0: a program is told of none where the service has no single one.
model::Port port_of(const HealthCheck& check, const config::Service& service,
                    const config::ServerUse& use) {
  if (check.port != 0) return model::Port{check.port};
  return service.ports.empty() ? model::Port{} : service.server_port(use, service.ports.front());
}

/// What only questions of some types need to know.
void add_details(ProbeSpec& probe, const config::Service& service, const config::Server& server) {
  if (probe.check.type == CheckType::exec) {
    probe.service = service.name;
    probe.server = server.name;
  }
  if (probe.check.type == CheckType::quic && probe.check.quic.handshake)
    for (const config::QuicCid& cid : service.quic.cids)
      probe.slots.push_back(
          {cid, config::steering_id(cid.scheme, server).value_or(model::ServerId{})});
  if (!service.checked_by_joins()) return;
  for (model::EndpointKey signal : service.announced(server)) {
    if (signal.address.family() != probe.address.family()) continue;
    if (number(signal.port) == 0) signal.port = probe.port;
    probe.joins.push_back(signal);
  }
  if (service.mptcp.via == config::Via::ipvs) probe.join_mark = config::check_mark(server);
}

/// One for each family of the VIPs: connections go to the server's address of that family. Through
/// the VIPs one for each of them.
std::vector<ProbeSpec> probes_of(const config::Service& service, const config::Director& director,
                                 const config::Server& server, const config::ServerUse& use) {
  std::vector<ProbeSpec> out;
  std::set<model::Family> done;
  const HealthCheck& check = *service.check;
  const model::Port port = port_of(check, service, use);
  for (const model::IpAddress& vip : service.vips) {
    const auto address = server.address_of(vip.family());
    if (!address) continue;  // refused when the file was read
    if (!check.through_vip) {
      if (done.insert(vip.family()).second) out.push_back({*address, port, {}, check, {}, {}});
      continue;
    }
    const auto source = std::ranges::find_if(
        director.addresses, [&](const auto& own) { return own.family() == vip.family(); });
    if (source != director.addresses.end())
      out.push_back({*address, port, {{vip, *source, config::check_mark(server)}}, check, {}, {}});
  }
  for (ProbeSpec& probe : out)
    add_details(probe, service, server);
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

/// Unlike for unlike slots.
std::string text(const ProbeSpec::CidSlot& slot) {
  const auto& [scheme, key_file] = slot.cid;
  return fmt::format("{} {} {} {} {} {} {} {} {} {}", name(scheme.format), scheme.config,
                     scheme.id_length, scheme.nonce_length, scheme.version, scheme.offset,
                     scheme.length, scheme.encrypted, slot.id.text(), key_file);
}

}  // namespace

std::string ProbeSpec::title() const {
  const std::string at = through ? " through " + through->vip.text() : "";
  const std::string what = check.type == CheckType::exec
                               ? fmt::format("exec {} for {}", check.command.words.front(), service)
                               : std::string(name(check.type));
  return fmt::format("{} {}{}", what, model::endpoint_text(address, port), at);
}

std::string ProbeSpec::id() const {
  std::string out =
      fmt::format("{} every {} {} {} rise {} fall {} {} {}", title(), check.interval, check.timeout,
                  check.max_interval, check.rise, check.fall, check.starts_up, check.hold_down);
  // Lengths before texts that may hold anything.
  const auto add = [&](std::string_view text) {
    out += fmt::format(" {}:", text.size());
    out += text;
  };
  const auto& [method, path, host, status, header, pattern, body] = check.http;
  for (const std::string& text : {method, path, host, header, pattern, body})
    add(text);
  add(check.tls.ca_file);
  add(check.tls.name);
  add(check.datagram.send);
  add(check.datagram.expect.value_or(""));
  add(check.dns.name);
  add(check.quic.alpn);
  for (const CidSlot& slot : slots)
    add(text(slot));
  for (const std::string& word : check.command.words)
    add(word);
  for (const std::string& text : {check.command.user, service, server})
    add(text);
  for (const model::EndpointKey& signal : joins)
    add(signal.text());
  return out + fmt::format(" {} {} {} {} {} {} {}", join_mark, check.quic.handshake, status,
                           check.tls.verify, check.tls.only_13, check.datagram.expect.has_value(),
                           check.dns.record);
}

Questions questions_of(const config::Config& config, const config::Director& director) {
  Questions out;
  for (const auto& [name, service] : config.services) {
    const bool asked = service.check.has_value();
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

}  // namespace lbctl::daemon
