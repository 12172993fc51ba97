#include "lbctl/model/node_state.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string AddressKey::text() const {
  return fmt::format("{}/{} dev {}", address.text(), prefix, device);
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
