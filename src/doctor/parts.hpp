// What the subjects have in common.
#pragma once

#include <functional>
#include <optional>

#include "lbctl/doctor/doctor.hpp"

namespace lbctl::doctor {

/// Collects; what has the same id and the same mend is one finding with more evidence.
class Findings {
 public:
  void add(Finding finding);
  std::vector<Finding> take();
  bool has(std::string_view id) const;

 private:
  std::vector<Finding> all_;
};

inline constexpr const char* by_apply = "lbctl apply does it";
inline const std::vector<std::string> apply_command{"lbctl apply"};

/// The value as a number; nothing if it was not read.
std::optional<long> sysctl_number(const Patient& patient, const std::string& path);
/// What the kernel goes by: the larger of the device's value and that of "all". `name` as in
/// "rp_filter", of IPv4.
std::optional<long> effective(const Patient& patient, const std::string& device,
                              std::string_view name);
/// The safe mend of a sysctl.
model::Action set_sysctl(const Patient& patient, const std::string& path, const std::string& to);
/// "net.ipv4.vs.sloppy_tcp = 0"
std::string sysctl_text(const Patient& patient, const std::string& path);

const config::Server* this_server(const Patient& patient);
const config::Director* this_director(const Patient& patient);
/// The services for which packets come to this node.
std::vector<const config::Service*> services_here(const Patient& patient);
/// The VIPs of all services in the file.
std::set<model::IpAddress> all_vips(const config::Config& config);
bool any_service(const config::Config& config,
                 const std::function<bool(const config::Service&)>& is);
/// Of a subsystem that could not be read nothing is known.
bool unread(const Patient& patient, std::string_view id);

void examine_node(const Patient& patient, Findings& out);
void examine_differences(const Patient& patient, Findings& out);
void examine_listeners(const Patient& patient, Findings& out);
void examine_endpoints(const Patient& patient, Findings& out);
void examine_direct_routing(const Patient& patient, Findings& out);
void examine_ipvs(const Patient& patient, Findings& out);
void examine_nftables(const Patient& patient, Findings& out);
void examine_xdp(const Patient& patient, Findings& out);
void examine_peers(const Patient& patient, Findings& out);
std::vector<Check> checklist(const Patient& patient, const Findings& findings);

}  // namespace lbctl::doctor
