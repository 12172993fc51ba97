// observed.toml: what a kernel held, written by hand for a golden plan.
#pragma once

#include <filesystem>
#include <string>

#include "lbctl/engine/ledger.hpp"
#include "lbctl/model/facts.hpp"
#include "lbctl/model/node_state.hpp"

namespace golden {

struct ObservedFile {
  std::string node;
  lbctl::model::NodeFacts facts;
  lbctl::model::NodeState state;
  lbctl::model::IpvsCounters counters;
  std::map<lbctl::model::IpAddress, std::uint32_t> sockets;
  lbctl::engine::Ledger ledger;
  lbctl::model::UnixTime now{};
};

/// Throws on a mistake in the file: it is part of the test.
ObservedFile read_observed(const std::filesystem::path& path);

}  // namespace golden
