// What lbctl made where the kernel has no place for an owner's mark, and what it found before it
// changed a setting. Written before the change, so that a kill at any moment leaves it true.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "lbctl/base/result.hpp"
#include "lbctl/model/leaving.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::engine {

/// Claims may outlive their objects (written first, made afterwards): an object is lbctl's when
/// the ledger names it *and* the kernel has it.
struct Ledger {
  std::set<model::ServiceKey> services;
  std::set<model::EndpointKey> endpoints;
  model::SysctlState sysctls;                ///< values found before lbctl set its own
  std::optional<model::MptcpLimits> limits;  ///< likewise
  model::IpvsTimeouts timeouts;              ///< likewise; 0 for those that lbctl did not change
  /// Sync daemons by what they were started with, which tells them from others of that role.
  std::set<std::pair<model::SyncRole, model::SyncDaemon>> daemons;
  std::set<std::string> tunnels;  ///< devices by name
  std::set<model::FouKey> fou;
  bool nft = false;        ///< a table of ours may be there: look, even if the file wants none
  bool xdp = false;        ///< likewise for pinned programs and tables
  model::Leaving leaving;  ///< what is on its way out, and until when
  friend bool operator==(const Ledger&, const Ledger&) = default;
};

std::string to_text(const Ledger& ledger);  ///< JSON with "schema_version": 1
Result<Ledger> parse_ledger(std::string_view text);

}  // namespace lbctl::engine
