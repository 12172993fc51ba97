#include "lbctl/model/ipvs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lbctl/model/leaving.hpp"

namespace lbctl::model {

std::string ServiceKey::text() const {
  if (fwmark != 0) return fmt::format("fwmark {} {}", fwmark, name(address.family()));
  return fmt::format("{} {}", name(protocol), endpoint_text(address, port));
}

ServiceKey fwmark_service(std::uint32_t fwmark, Family family) {
  constexpr std::array<std::uint8_t, 16> unspecified{};
  ServiceKey key{.fwmark = fwmark};
  if (family == Family::v6) key.address = IpAddress::from_octets(unspecified).value_or(IpAddress());
  return key;
}

std::string DestinationId::text() const {
  return fmt::format("{} -> {}", service.text(), key.text());
}

std::string_view name(Forward forward) {
  switch (forward) {
    case Forward::masquerade:
      return "masquerade";
    case Forward::local:
      return "local";
    case Forward::tunnel:
      return "tunnel";
    case Forward::route:
      return "dr";
  }
  return "unknown";
}

std::string_view name(TunnelType type) {
  switch (type) {
    case TunnelType::ipip:
      return "ipip";
    case TunnelType::gue:
      return "gue";
    case TunnelType::gre:
      return "gre";
  }
  return "unknown";
}

std::string_view name(TunnelChecksum checksum) {
  switch (checksum) {
    case TunnelChecksum::none:
      return "none";
    case TunnelChecksum::full:
      return "full";
    case TunnelChecksum::remote:
      return "remote";
  }
  return "unknown";
}

bool VirtualService::same_settings(const VirtualService& other) const {
  return scheduler == other.scheduler && flags == other.flags &&
         persistence_timeout == other.persistence_timeout &&
         persistence_prefix == other.persistence_prefix;
}

const std::vector<SchedulerInfo>& schedulers() {
  static const std::vector<SchedulerInfo> all = {
      {"rr", "", ""},   {"wrr", "", ""},
      {"lc", "", ""},   {"wlc", "", ""},
      {"lblc", "", ""}, {"lblcr", "", ""},
      {"dh", "", ""},   {"sed", "", ""},
      {"nq", "", ""},   {"fo", "", ""},
      {"ovf", "", ""},  {"sh", "sh-fallback", "sh-port"},
      {"twos", "", ""}, {"mh", "mh-fallback", "mh-port"},
  };
  return all;
}

const SchedulerInfo* find_scheduler(std::string_view name) {
  const auto it = std::ranges::find(schedulers(), name, &SchedulerInfo::name);
  return it == schedulers().end() ? nullptr : &*it;
}

std::vector<std::string> scheduler_flag_names(const VirtualService& service) {
  const SchedulerInfo* info = find_scheduler(service.scheduler);
  const auto word = [](std::string_view known, const char* bit) {
    return std::string(known.empty() ? std::string_view(bit) : known);
  };
  std::vector<std::string> out;
  if (service.flags.sched1) out.push_back(word(info ? info->flag1 : "", "flag-1"));
  if (service.flags.sched2) out.push_back(word(info ? info->flag2 : "", "flag-2"));
  if (service.flags.sched3) out.push_back("flag-3");
  return out;
}

}  // namespace lbctl::model
