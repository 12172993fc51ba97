#include "parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lbctl::doctor {

void Findings::add(Finding finding) {
  const auto same = std::ranges::find_if(all_, [&](const Finding& one) {
    return one.id == finding.id && one.mend == finding.mend && one.commands == finding.commands &&
           one.fix.empty() && finding.fix.empty();
  });
  if (same == all_.end()) return all_.push_back(std::move(finding));
  for (std::string& line : finding.evidence)
    if (std::ranges::find(same->evidence, line) == same->evidence.end())
      same->evidence.push_back(std::move(line));
}

std::vector<Finding> Findings::take() {
  std::ranges::stable_sort(all_, {}, &Finding::severity);
  return std::move(all_);
}

bool Findings::has(std::string_view id) const {
  return std::ranges::find(all_, id, &Finding::id) != all_.end();
}

std::optional<long> sysctl_number(const Patient& patient, const std::string& path) {
  const auto found = patient.facts.sysctls.find(path);
  if (found == patient.facts.sysctls.end()) return std::nullopt;
  long out = 0;
  const std::string& text = found->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc() ? std::optional(out) : std::nullopt;
}

std::optional<long> effective(const Patient& patient, const std::string& device,
                              std::string_view name) {
  const auto of = [&](std::string_view whose) {
    return sysctl_number(patient, fmt::format("net/ipv4/conf/{}/{}", whose, name));
  };
  const auto own = of(device), all = of("all");
  return own && all ? std::optional(std::max(*own, *all)) : std::nullopt;
}

model::Action set_sysctl(const Patient& patient, const std::string& path, const std::string& to) {
  const auto now = patient.facts.sysctls.find(path);
  return model::SetSysctl{path, now == patient.facts.sysctls.end() ? "" : now->second, to};
}

std::string sysctl_text(const Patient& patient, const std::string& path) {
  const auto found = patient.facts.sysctls.find(path);
  return fmt::format("{} = {}", model::sysctl_name(path),
                     found == patient.facts.sysctls.end() ? "?" : found->second);
}

const config::Server* this_server(const Patient& patient) {
  const auto found = patient.config.servers.find(patient.desired.node);
  return found == patient.config.servers.end() ? nullptr : &found->second;
}

const config::Director* this_director(const Patient& patient) {
  const auto found = patient.config.directors.find(patient.desired.node);
  return found == patient.config.directors.end() ? nullptr : &found->second;
}

std::vector<const config::Service*> services_here(const Patient& patient) {
  const bool director = this_director(patient) != nullptr;
  std::vector<const config::Service*> out;
  for (const auto& [name, service] : patient.config.services)
    if (director || service.involves(patient.desired.node)) out.push_back(&service);
  return out;
}

std::set<model::IpAddress> all_vips(const config::Config& config) {
  std::set<model::IpAddress> out;
  for (const auto& [name, service] : config.services)
    out.insert(service.vips.begin(), service.vips.end());
  return out;
}

bool any_service(const config::Config& config,
                 const std::function<bool(const config::Service&)>& is) {
  return std::ranges::any_of(config.services, [&](const auto& entry) { return is(entry.second); });
}

bool unread(const Patient& patient, std::string_view id) {
  return std::ranges::find(patient.facts.unread, id, &Unread::id) != patient.facts.unread.end();
}

}  // namespace lbctl::doctor
