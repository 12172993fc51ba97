// What is particular about some sysctls.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lbctl/model/node_state.hpp"

namespace lbctl::model {

std::string sysctl_name(const std::string& path) {
  std::string out = path;
  std::ranges::transform(out, out.begin(), [](char c) {
    return c == '/' ? '.' : c == '.' ? '/' : c;
  });
  return out;
}

std::string_view sysctl_since(std::string_view path) {
  struct Since {
    std::string_view path, version;
  };
  static constexpr std::array known = {
      Since{"net/ipv4/vs/est_cpulist", "6.2"},
      Since{"net/ipv4/vs/est_nice", "6.2"},
      Since{"net/mptcp/scheduler", "6.6"},
      Since{"net/mptcp/close_timeout", "6.7"},
      Since{"net/mptcp/blackhole_timeout", "6.12"},
      Since{"net/mptcp/syn_retrans_before_tcp_fallback", "6.14"},
  };
  const auto found = std::ranges::find(known, path, &Since::path);
  return found == known.end() ? std::string_view() : found->version;
}

std::string_view ipvs_sysctl_hint(std::string_view path) {
  constexpr std::string_view ipvs = "net/ipv4/vs/";
  if (!path.starts_with(ipvs)) return {};
  const std::string_view name = path.substr(ipvs.size());
  if (name == "lblc_expiration") return "modprobe ip_vs_lblc (kernel option CONFIG_IP_VS_LBLC)";
  if (name == "lblcr_expiration") return "modprobe ip_vs_lblcr (kernel option CONFIG_IP_VS_LBLCR)";
  return "modprobe ip_vs (kernel option CONFIG_IP_VS)";
}

bool sysctl_equal(std::string_view path, std::string_view a, std::string_view b) {
  // 1 and 2 are one setting, "automatic"; which of them is read says whether memory is short now
  // (update_defense_level() in net/netfilter/ipvs/ip_vs_ctl.c).
  const bool defence = path == "net/ipv4/vs/drop_entry" || path == "net/ipv4/vs/drop_packet" ||
                       path == "net/ipv4/vs/secure_tcp";
  const auto automatic = [](std::string_view value) { return value == "1" || value == "2"; };
  return a == b || (defence && automatic(a) && automatic(b));
}

bool sysctl_absent_is(std::string_view path, std::string_view value) {
  // Without CONFIG_IP_VS_NFCT nothing of IPVS is ever tracked.
  return path == "net/ipv4/vs/conntrack" && value == "0";
}

}  // namespace lbctl::model
