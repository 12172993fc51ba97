// What of `table netdev lbctl` limits sources and asks for MPTCP: sets, elements and rules that are
// there only where the file wants such a guard. rules/director-guard.nft is the same for people.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lbctl/model/nft.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

std::vector<SetShape> guard_shapes(const model::SignalForward& forward);
void add_guard_elements(const model::SignalForward& forward, std::map<std::string, Elements>& all);

/// Rules of the chain guard: against fragments that hide a SYN, and against SYNs without MPTCP.
void guard_fragments(TableObjects& to, const model::SignalForward& forward);
void guard_mptcp_only(TableObjects& to, const model::SignalForward& forward);
/// Rules of the chain rates.
void limit_sources(TableObjects& to, const model::SignalForward& forward);

/// The limit in a rule of the chain rates, without what it is for, and its name.
std::optional<std::pair<std::string, model::SourceLimit>> limit_in(const nftnl_rule& rule);
/// False if an element does not fit the model. Limits are there already, from their rules.
bool read_guard(const std::map<std::string, Elements>& elements, model::SignalForward& out);

}  // namespace lbctl::kernel::nft
