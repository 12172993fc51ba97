#include "lbctl/model/diagnosis.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string Process::text() const {
  return fmt::format("{} (pid {}{}{})", command, pid, unit.empty() ? "" : ", ", unit);
}

std::string FilterRule::text() const {
  return fmt::format("{} {} {} handle {}", family, table, chain, handle);
}

KeyChecks key_checks(const XdpState& state) {
  KeyChecks out;
  for (const auto& [key, service] : state.services)
    for (std::size_t i = 0; i < service.cids.size(); ++i)
      if (const auto& cid_key = service.cids[i].key) out[{key.text(), i}] = cid_key->check();
  return out;
}

std::string MetricsPlace::url() const {
  return fmt::format("http://{}/metrics", endpoint_text(address, port));
}

}  // namespace lbctl::model
