#include "lbctl/model/node_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lbctl::model {

std::string AddressKey::text() const {
  return fmt::format("{}/{} dev {}", address.text(), prefix, device);
}

std::string sysctl_name(const std::string& path) {
  std::string out = path;
  std::ranges::transform(out, out.begin(), [](char c) {
    return c == '/' ? '.' : c == '.' ? '/' : c;
  });
  return out;
}

std::string_view name(XdpMode mode) {
  switch (mode) {
    case XdpMode::automatic:
      return "automatic";
    case XdpMode::native:
      return "native";
    case XdpMode::generic:
      return "generic";
  }
  return "unknown";
}

}  // namespace lbctl::model
