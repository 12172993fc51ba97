// MPTCP endpoints, and what keeps them from being announced or used.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using model::Endpoint;
using model::EndpointKey;

/// As the kernel holds them: everybody's.
std::map<EndpointKey, Endpoint> all_endpoints(const Patient& patient) {
  auto out = patient.ours.mptcp.endpoints;
  for (const auto& entry : patient.foreign.mptcp.endpoints)
    out.insert(entry);
  return out;
}

void too_many(const Patient& patient, Findings& out) {
  auto all = all_endpoints(patient);
  const std::size_t stand = all.size();
  for (const auto& entry : patient.desired.state.mptcp.endpoints)
    all.insert(entry);
  if (all.size() <= model::max_mptcp_endpoints) return;
  out.add(
      {.id = "endpoints-too-many",
       .severity = Severity::error,
       .evidence = {fmt::format("{} endpoints stand, {} are needed in all", stand, all.size())},
       .consequence = fmt::format("the kernel takes {}: lbctl apply fails, and what is left out is "
                                  "not announced",
                                  model::max_mptcp_endpoints),
       .mend = "remove endpoints that are not lbctl's; ip mptcp endpoint show lists them"});
}

void foreign(const Patient& patient, Findings& out) {
  const auto& managers = patient.facts.machine.path_managers;
  for (const auto& [key, endpoint] : patient.foreign.mptcp.endpoints) {
    // One that is wanted is in the way of lbctl's, and apply says so.
    if (patient.desired.state.mptcp.endpoints.contains(key)) continue;
    std::string from = "remove it";
    if (!managers.empty())
      from =
          fmt::format("tell {} to leave MPTCP alone, then remove it", fmt::join(managers, " and "));
    out.add({.id = "endpoint-foreign",
             .severity = Severity::warning,
             .evidence = {fmt::format(
                 "endpoint {} {} is not lbctl's{}", key.text(), endpoint.text(),
                 managers.empty() ? "" : fmt::format("; {} runs", fmt::join(managers, " and ")))},
             .consequence = endpoint.signal
                                ? "it is announced on every connection, and clients may use up the "
                                  "one address that they accept"
                                : "the server opens extra paths from it by itself",
             .mend = std::move(from),
             .commands = {fmt::format("ip mptcp endpoint delete id {}", endpoint.id)}});
  }
}

/// Endpoints are announced in the order in which they were added, which their ids tell.
void order(const Patient& patient, Findings& out) {
  const auto all = all_endpoints(patient);
  const auto first_of = [&](bool v4) {
    std::uint8_t first = 0;
    for (const auto& [key, endpoint] : all)
      if (endpoint.signal && key.address.is_v4() == v4 && (first == 0 || endpoint.id < first))
        first = endpoint.id;
    return first;
  };
  const std::uint8_t v4 = first_of(true), v6 = first_of(false);
  if (v4 == 0 || v6 == 0 || v4 < v6) return;
  std::vector<std::string> commands;
  for (const auto& [key, endpoint] : all)
    if (endpoint.signal && !key.address.is_v4() && endpoint.id < v4) {
      commands.push_back(fmt::format("ip mptcp endpoint delete id {}", endpoint.id));
      commands.push_back(fmt::format(
          "ip mptcp endpoint add {}{} {}", key.address.text(),
          number(key.port) != 0 ? fmt::format(" port {}", number(key.port)) : "", endpoint.text()));
    }
  out.add(
      {.id = "endpoint-order",
       .severity = Severity::warning,
       .evidence = {fmt::format("endpoint id {} is IPv6, the first IPv4 one has id {}", v6, v4)},
       .consequence = "a client accepts one address by default: IPv4 clients get the IPv6 one, "
                      "and no second path",
       .mend = "add the IPv6 endpoints behind the IPv4 ones; their subflows end with it",
       .commands = std::move(commands)});
}

void timestamps(const Patient& patient, Findings& out) {
  if (sysctl_number(patient, "net/ipv4/tcp_timestamps").value_or(0) == 0) return;
  for (const auto& [key, endpoint] : all_endpoints(patient)) {
    if (!endpoint.signal || key.address.is_v4() || number(key.port) == 0) continue;
    out.add({.id = "endpoint-v6-port",
             .severity = Severity::error,
             .evidence = {fmt::format("endpoint {} has a port, and {}", key.text(),
                                      sysctl_text(patient, "net/ipv4/tcp_timestamps"))},
             .consequence = "an IPv6 address with a port does not fit beside TCP timestamps: it is "
                            "never announced, and nothing says so",
             .mend = "announce an IPv6 address of the server's own, without a port",
             .commands = {fmt::format("ip mptcp endpoint delete id {}", endpoint.id)}});
  }
}

void limits(const Patient& patient, Findings& out) {
  const auto& now = patient.ours.mptcp.limits;
  if (!now || now->subflows != 0) return;
  const auto& wanted = patient.desired.state.mptcp.limits;
  Finding finding{.id = "subflows-zero",
                  .severity = Severity::error,
                  .evidence = {"ip mptcp limits: subflows 0"},
                  .consequence = "every join is refused"};
  if (!wanted) {
    finding.mend = "set it to 2, as Linux begins with";
    finding.fix = {model::SetMptcpLimits{*now, {2, now->add_addr_accepted}}};
  } else if (wanted->subflows == 0) {
    finding.mend = "set subflows above 0 under [mptcp] in the file, then lbctl apply";
  } else {
    finding.mend = by_apply;
    finding.commands = apply_command;
  }
  out.add(std::move(finding));
}

/// Since Linux 5.19 a daemon may take the kernel's place, and then endpoints mean nothing.
void path_manager(const Patient& patient, Findings& out) {
  const std::string path = "net/mptcp/pm_type";
  if (patient.desired.state.sysctls.contains(path)) return;
  if (sysctl_number(patient, path).value_or(0) == 0) return;
  out.add(
      {.id = "path-manager",
       .severity = Severity::error,
       .evidence = {sysctl_text(patient, path)},
       .consequence = "the kernel announces no endpoint: it waits for a path manager in user space",
       .mend = "set it to 0; connections from then on go by it",
       .fix = {set_sysctl(patient, path, "0")}});
}

}  // namespace

void examine_endpoints(const Patient& patient, Findings& out) {
  if (this_server(patient) == nullptr || unread(patient, "mptcp-unread")) return;
  if (patient.desired.state.mptcp.endpoints.empty()) return;
  too_many(patient, out);
  foreign(patient, out);
  order(patient, out);
  timestamps(patient, out);
  limits(patient, out);
  path_manager(patient, out);
}

}  // namespace lbctl::doctor
