#include "text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <vector>

#include "lbctl/model/node_state.hpp"

namespace lbctl::kernel::sysctl {
namespace {

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0;;) {
    const std::size_t slash = path.find('/', at);
    parts.push_back(path.substr(at, slash == std::string_view::npos ? slash : slash - at));
    if (slash == std::string_view::npos) return parts;
    at = slash + 1;
  }
}

/// The device of net/ipv4/conf/DEVICE/… and net/ipv6/neigh/DEVICE/…; empty for other paths.
std::string_view device_of(const std::vector<std::string_view>& parts) {
  const bool per_device = parts.size() == 5 && parts[0] == "net" &&
                          (parts[1] == "ipv4" || parts[1] == "ipv6") &&
                          (parts[2] == "conf" || parts[2] == "neigh");
  return per_device && parts[3] != "all" && parts[3] != "default" ? parts[3] : std::string_view{};
}

}  // namespace

bool safe_path(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  for (const std::string_view part : parts_of(path))
    if (part.empty() || part == "." || part == "..") return false;
  return true;
}

std::string normalised(std::string_view value) {
  constexpr std::string_view blanks = " \t\r\n\v\f";
  std::string out;
  for (std::size_t at = value.find_first_not_of(blanks); at != std::string_view::npos;) {
    const std::size_t end = value.find_first_of(blanks, at);
    if (!out.empty()) out += ' ';
    out += value.substr(at, end == std::string_view::npos ? end : end - at);
    at = end == std::string_view::npos ? end : value.find_first_not_of(blanks, end);
  }
  return out;
}

Error missing(const std::string& path) {
  const std::string what = fmt::format("sysctl {}", model::sysctl_name(path));
  if (const auto hint = model::ipvs_sysctl_hint(path); !hint.empty())
    return Error(Errc::unsupported, what + ": IPVS is not in this kernel or not loaded", ENOENT)
        .with_hint(std::string(hint));
  if (path.starts_with("net/mptcp/"))
    return Error(Errc::unsupported, what + ": this kernel has no MPTCP, or not this part", ENOENT)
        .with_hint("a kernel with CONFIG_MPTCP; lbctl is made for Linux 6.1 and later");
  const auto parts = parts_of(path);
  if (const auto device = device_of(parts); !device.empty())
    return Error(Errc::not_found, fmt::format("{}: is there a device {}?", what, device), ENOENT)
        .with_hint(fmt::format("ip link show {}", device));
  if (path.starts_with("net/ipv6/"))
    return Error(Errc::unsupported, what + ": this kernel has no IPv6, or not this setting", ENOENT)
        .with_hint("kernel option CONFIG_IPV6, and no ipv6.disable=1 at boot");
  return Error(Errc::unsupported, what + ": this kernel does not have it", ENOENT);
}

}  // namespace lbctl::kernel::sysctl
