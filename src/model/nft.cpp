#include "lbctl/model/nft.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string_view name(RateUnit unit) {
  switch (unit) {
    case RateUnit::second:
      return "second";
    case RateUnit::minute:
      return "minute";
    case RateUnit::hour:
      return "hour";
  }
  return "unknown";
}

std::uint64_t seconds(RateUnit unit) {
  switch (unit) {
    case RateUnit::second:
      return 1;
    case RateUnit::minute:
      return 60;
    case RateUnit::hour:
      return 3600;
  }
  return 0;
}

std::string Rate::text() const {
  return fmt::format("{}/{} burst {}", packets, name(per), burst);
}

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

std::string Mark::text() const {
  if (value == 0) return untracked ? "untracked" : "nothing";
  return fmt::format("{}{}", value, untracked ? ", untracked" : "");
}

MarkChains chains_for(const Marks& marks) {
  MarkChains out;
  for (const auto& [key, mark] : marks) {
    out.marking = out.marking || mark.value != 0;
    out.untracking = out.untracking || mark.untracked;
  }
  return out;
}

}  // namespace lbctl::model
