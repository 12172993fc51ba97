#include "lbctl/model/diagnosis.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string Process::text() const {
  return fmt::format("{} (pid {}{}{})", command, pid, unit.empty() ? "" : ", ", unit);
}

std::string FilterRule::text() const {
  return fmt::format("{} {} {} handle {}", family, table, chain, handle);
}

}  // namespace lbctl::model
