// IPVS on a director: its settings, schedulers and whose services stand.
#include <fmt/format.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using model::ServiceKey;
using model::VirtualService;

/// A setting that apply makes unless the file says otherwise: then it is the file that is wrong.
void against_the_profile(const Patient& patient, Findings& out) {
  struct Advice {
    const char *path, *good, *id, *consequence;
  };
  static constexpr Advice all[] = {
      {"net/ipv4/vs/expire_nodest_conn", "1", "ipvs-nodest",
       "clients of a server that is removed get silence instead of a new connection"},
      {"net/ipv4/vs/conn_reuse_mode", "1", "ipvs-reuse",
       "a client that uses a port again comes back to the server that it had, also when that is "
       "drained"},
  };
  for (const Advice& one : all) {
    const auto wanted = patient.desired.state.sysctls.find(one.path);
    if (wanted == patient.desired.state.sysctls.end() || wanted->second == one.good) continue;
    const std::string name = model::sysctl_name(one.path);
    out.add({.id = one.id,
             .severity = Severity::warning,
             .evidence = {fmt::format("the file sets {} = {}", name, wanted->second)},
             .consequence = one.consequence,
             .mend = fmt::format("take {} out of [ipvs.sysctl] in the file, then lbctl apply",
                                 name.substr(name.rfind('.') + 1))});
  }
}

void failover(const Patient& patient, Findings& out) {
  const std::string path = "net/ipv4/vs/sloppy_tcp";
  const bool tcp = any_service(patient.config, [](const config::Service& service) {
    return service.has(config::Protocol::tcp) || service.has(config::Protocol::mptcp);
  });
  if (patient.config.directors.size() < 2 || !tcp || patient.config.ipvs.sync) return;
  if (sysctl_number(patient, path) != 0) return;
  // By apply, if the file has it.
  const auto wanted = patient.desired.state.sysctls.find(path);
  if (wanted != patient.desired.state.sysctls.end() && wanted->second != "0") return;
  Finding finding{
      .id = "ipvs-failover",
      .severity = Severity::warning,
      .evidence = {fmt::format("{} directors without connection sync, and {}",
                               patient.config.directors.size(), sysctl_text(patient, path))},
      .consequence =
          "when another director takes over, every TCP connection that stands is refused "
          "there",
      .mend =
          "write sloppy_tcp = 1 under [ipvs.sysctl] in the file, or have connections synced "
          "([ipvs.sync]); with the scheduler mh they then reach the servers that they had"};
  if (wanted == patient.desired.state.sysctls.end()) finding.fix = {set_sysctl(patient, path, "1")};
  out.add(std::move(finding));
}

bool hashes(const VirtualService& service) {
  return service.scheduler == "mh" || service.scheduler == "sh";
}

/// lbctl's own drains see to the fallback; weights that others set do not.
void lost_flows(const ServiceKey& key, const VirtualService& service, Findings& out) {
  if (!hashes(service) || service.flags.sched1 || service.flags.persistent) return;
  for (const auto& [destination, settings] : service.destinations) {
    if (settings.weight != model::Weight{}) continue;
    out.add(
        {.id = "scheduler-no-fallback",
         .severity = Severity::error,
         .evidence = {fmt::format("{}: {} without {}-fallback, and {} has weight 0", key.text(),
                                  service.scheduler, service.scheduler, destination.text())},
         .consequence = "clients that hash onto that server are refused",
         .mend = fmt::format("lbctl apply gives it its weight again; for work on a server there "
                             "is lbctl drain, which sets {}-fallback",
                             service.scheduler),
         .commands = apply_command});
  }
}

void by_address_only(const ServiceKey& key, const VirtualService& service, Findings& out) {
  if (!hashes(service) || service.flags.sched2 || service.flags.persistent ||
      service.destinations.size() < 2)
    return;
  out.add(
      {.id = "scheduler-no-port",
       .severity = Severity::doubt,
       .evidence = {fmt::format("{}: {} without {}-port", key.text(), service.scheduler,
                                service.scheduler)},
       .consequence = "all clients behind one address (NAT) go to one server",
       .mend = fmt::format("add \"{}-port\" to scheduler_flags in the file, unless that is meant",
                           service.scheduler)});
}

void missing_schedulers(const Patient& patient, Findings& out) {
  const auto& machine = patient.facts.machine;
  if (!machine.modules_known) return;
  for (const auto& [key, service] : patient.desired.state.ipvs) {
    // One that works is there, whatever it is called.
    if (patient.ours.ipvs.contains(key) || patient.foreign.ipvs.contains(key)) continue;
    const std::string module = "ip_vs_" + service.scheduler;
    if (machine.modules.contains(module)) continue;
    out.add({.id = "scheduler-missing",
             .severity = Severity::error,
             .evidence = {fmt::format("Linux {} has no module {}", machine.release, module)},
             .consequence = "services with that scheduler cannot be made",
             .mend = "boot a kernel that has it, or name another scheduler in the file",
             .commands = {"modprobe " + module}});
  }
}

void foreign(const Patient& patient, Findings& out) {
  const auto vips = all_vips(patient.config);
  for (const auto& [key, service] : patient.foreign.ipvs) {
    if (key.fwmark != 0 || !vips.contains(key.address)) continue;
    if (patient.desired.state.ipvs.contains(key)) continue;  // apply names it
    out.add(
        {.id = "service-foreign",
         .severity = Severity::warning,
         .evidence = {fmt::format("IPVS service {} ({}, {} destinations) is not lbctl's",
                                  key.text(), service.scheduler, service.destinations.size())},
         .consequence = "somebody else sends a part of the VIP's traffic where the file does not",
         .mend = "remove it, or whatever makes it; or write it into the file",
         .commands = {fmt::format("ipvsadm -D {} {}", key.protocol == model::L4::tcp ? "-t" : "-u",
                                  endpoint_text(key.address, key.port))}});
  }
}

/// RFC 4787, REQ-5: what keeps the way of UDP must not forget it before two minutes.
void timeouts(const Patient& patient, Findings& out) {
  constexpr std::uint32_t least = 120;
  const auto& now = patient.ours.ipvs_node.timeouts;
  const auto& wanted = patient.desired.state.ipvs_node.timeouts;
  const bool udp = any_service(patient.config, [](const config::Service& service) {
    return service.has(config::Protocol::udp) && !service.flags.one_packet;
  });
  if (!udp || now.udp == 0 || now.udp >= least) return;
  if (wanted.udp != 0 && wanted.udp != now.udp) return;  // apply sets another
  Finding finding{.id = "udp-timeout",
                  .severity = Severity::warning,
                  .evidence = {fmt::format("IPVS forgets UDP after {} s", now.udp)},
                  .consequence =
                      "a client that is silent for longer may come to another server "
                      "(RFC 4787 asks for two minutes)"};
  if (wanted.udp == 0) {
    finding.mend = "set it to 300 s, as Linux begins with";
    finding.fix = {model::SetIpvsTimeouts{now, {0, 0, 300}}};
  } else {
    finding.mend = "raise timeout_udp under [ipvs] in the file, then lbctl apply";
  }
  out.add(std::move(finding));
}

}  // namespace

void examine_ipvs(const Patient& patient, Findings& out) {
  if (this_director(patient) == nullptr || unread(patient, "ipvs-unread")) return;
  against_the_profile(patient, out);
  failover(patient, out);
  for (const auto& [key, service] : patient.ours.ipvs) {
    lost_flows(key, service, out);
    by_address_only(key, service, out);
  }
  missing_schedulers(patient, out);
  foreign(patient, out);
  timeouts(patient, out);
}

}  // namespace lbctl::doctor
