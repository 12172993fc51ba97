// What explanations look at: the kernel as it is, and the names of the file.
#pragma once

#include <map>
#include <span>
#include <string>

#include "lbctl/config/config.hpp"
#include "lbctl/model/flow.hpp"
#include "lbctl/model/node_state.hpp"
#include "session.hpp"

namespace lbctl::cli {

/// What the kernel holds, as far as explanations look at it.
struct Seen {
  model::Observed observed;
  std::map<model::Flow, model::IpvsConnection> connections;
};

/// Ours and foreign alike: packets do not ask whose a rule is.
Result<Seen> look(const Options& options, const Wanted& wanted, std::span<const model::Flow> flows);

/// Whose id it is.
std::string server_called(const config::Config& config, const model::ServerId& id);

/// `lbctl explain --live`: of these flows, or of all.
Exit explain_live(const Options& options, std::span<const model::Flow> flows);

}  // namespace lbctl::cli
