// https://www.mptcp.dev/load-balancer.html, "Here is a checklist for CDN owners", line by line.
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using config::Protocol;

Check ticked(std::string item, const Findings& findings,
             std::initializer_list<std::string_view> spoilers, std::string why) {
  for (const std::string_view id : spoilers)
    if (findings.has(id)) return {std::move(item), Tick::no, fmt::format("see {}", id)};
  return {std::move(item), Tick::yes, std::move(why)};
}

void frontend(const Findings& findings, const std::string& addresses, std::vector<Check>& out) {
  out.push_back(ticked("Frontend, application: MPTCP is enabled", findings,
                       {"sockets-unread", "listener-missing", "listener-plain-tcp",
                        "mptcp-disabled", "kernel-feature"},
                       "its sockets listen by MPTCP"));
  out.push_back(ticked("Frontend, system: sysctl net.mptcp.allow_join_initial_addr_port=0",
                       findings, {"sysctls-unread", "c-flag", "setting-missing", "kernel-feature"},
                       "it is 0"));
  out.push_back(
      ticked("Frontend, system: a signal endpoint with an address or port of this server's "
             "own",
             findings,
             {"mptcp-unread", "addresses-unread", "endpoint-missing", "signal-address-missing",
              "endpoint-v6-port", "endpoints-too-many", "path-manager", "foreign-in-the-way"},
             addresses));
}

std::string endpoints_of(const Patient& patient) {
  std::string out;
  for (const auto& [key, endpoint] : patient.desired.state.mptcp.endpoints)
    out += (out.empty() ? "" : ", ") + key.text();
  return out;
}

bool by_network(const config::Service& service) {
  return service.has(Protocol::mptcp) && service.mptcp.via == config::Via::direct;
}

void balancer(const Patient& patient, const Findings& findings, std::vector<Check>& out) {
  const std::string rules =
      "Balancer: TCP flows to the address or port of a server go to that server";
  if (any_service(patient.config, by_network))
    out.push_back({rules, Tick::elsewhere, "via = \"direct\": routers do it, not this node"});
  else
    out.push_back(ticked(rules, findings,
                         {"nftables-unread", "ipvs-unread", "signal-forward", "service-missing",
                          "signal-address-missing", "foreign-in-the-way"},
                         "the rules stand"));
  const std::string guard =
      "Balancer, optionally: other than MPTCP is blocked, requests are limited in rate";
  const bool guarded = std::ranges::all_of(patient.config.services, [](const auto& entry) {
    const config::Service& service = entry.second;
    return !service.has(Protocol::mptcp) || service.mptcp.join_only || service.guard.mptcp_only;
  });
  const bool limited = any_service(patient.config, [](const config::Service& service) {
    return service.guard.syn || service.mptcp.syn;
  });
  if (!guarded)
    out.push_back({guard, Tick::no, "join_only = false in the file"});
  else
    out.push_back(ticked(guard, findings,
                         {"nftables-unread", "signal-forward", "foreign-in-the-way"},
                         limited ? "joins only at signal addresses, with rates"
                                 : "joins only at signal addresses; no rate in the file"));
}

}  // namespace

std::vector<Check> checklist(const Patient& patient, const Findings& findings) {
  std::vector<Check> out;
  const auto here = services_here(patient);
  const bool mptcp =
      std::ranges::any_of(here, [](const auto* one) { return one->has(Protocol::mptcp); });
  const bool server = this_server(patient) != nullptr;
  if (mptcp && server)
    frontend(findings, endpoints_of(patient), out);
  else if (mptcp)
    balancer(patient, findings, out);
  // The lines of the other kind of node, so that the list is always whole.
  const std::string why =
      mptcp ? (server ? "directors have it" : "real servers have it") : "no service here has mptcp";
  std::vector<Check> all;
  frontend({}, "", all);
  balancer(patient, {}, all);
  std::vector<Check> whole;
  for (Check& line : all) {
    const auto told = std::ranges::find(out, line.item, &Check::item);
    whole.push_back(told != out.end() ? *told : Check{line.item, Tick::elsewhere, why});
  }
  return whole;
}

}  // namespace lbctl::doctor
