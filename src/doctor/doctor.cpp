#include "lbctl/doctor/doctor.hpp"

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::doubt:
      return "doubt";
  }
  return "unknown";
}

std::string_view name(Tick tick) {
  switch (tick) {
    case Tick::yes:
      return "yes";
    case Tick::no:
      return "no";
    case Tick::elsewhere:
      return "elsewhere";
  }
  return "unknown";
}

bool Report::sick() const {
  return std::ranges::any_of(findings,
                             [](const Finding& one) { return one.severity != Severity::doubt; });
}

std::set<std::string> sysctls_of(const config::Config& config, const config::Desired& desired) {
  std::set<std::string> out{"net/ipv4/tcp_timestamps", "net/netfilter/nf_conntrack_count",
                            "net/netfilter/nf_conntrack_max"};
  std::set<std::string> devices{"all", desired.interface};
  const auto director = config.directors.find(desired.node);
  if (director != config.directors.end())
    devices.insert(director->second.client_interfaces.begin(),
                   director->second.client_interfaces.end());
  for (const std::string& device : devices)
    for (const auto* one : {"arp_ignore", "arp_announce", "rp_filter"})
      out.insert("net/ipv4/conf/" + device + "/" + one);
  if (director != config.directors.end())
    for (const auto* one : {"expire_nodest_conn", "conn_reuse_mode", "sloppy_tcp"})
      out.insert(std::string("net/ipv4/vs/") + one);
  else
    for (const auto* one : {"enabled", "allow_join_initial_addr_port", "pm_type"})
      out.insert(std::string("net/mptcp/") + one);
  return out;
}

std::set<model::IpAddress> probed_vips(const config::Config& config, const config::Desired& desired,
                                       model::Family family) {
  std::set<model::IpAddress> out;
  if (!config.directors.contains(desired.node)) return out;
  for (const model::IpAddress& vip : all_vips(config))
    if (vip.family() == family) out.insert(vip);
  return out;
}

model::IpAddress far_client(model::Family family) {
  return model::IpAddress::parse(family == model::Family::v4 ? "203.0.113.1" : "2001:db8:ffff::1")
      .value();
}

Report examine(const Patient& patient) {
  Findings findings;
  examine_node(patient, findings);
  examine_listeners(patient, findings);
  examine_endpoints(patient, findings);
  examine_direct_routing(patient, findings);
  examine_ipvs(patient, findings);
  examine_nftables(patient, findings);
  examine_xdp(patient, findings);
  examine_peers(patient, findings);
  examine_differences(patient, findings);
  Report out;
  out.checklist = checklist(patient, findings);
  out.findings = findings.take();
  return out;
}

}  // namespace lbctl::doctor
