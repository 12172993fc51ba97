#include "lbctl/model/nft.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string PortRange::text() const {
  if (*this == all_ports) return "all ports";
  if (first == last) return fmt::to_string(number(first));
  return fmt::format("{}-{}", number(first), number(last));
}

std::string MarkKey::text() const {
  if (ports == all_ports) return fmt::format("{} {}, all ports", name(protocol), address.text());
  return fmt::format(fmt::runtime(address.is_v4() ? "{} {}:{}" : "{} [{}]:{}"), name(protocol),
                     address.text(), ports.text());
}

}  // namespace lbctl::model
