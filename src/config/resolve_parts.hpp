// The two halves of resolve(), one per role.
#pragma once

#include "lbctl/config/resolve.hpp"

namespace lbctl::config {

Desired resolve_director(const Config& config, const Director& director,
                         std::span<const model::DrainIntent> drains);
Desired resolve_server(const Config& config, const Server& server, const model::NodeFacts& facts);

/// A host address of lbctl's own on `device`.
void add_address(model::NodeState& state, const std::string& device,
                 const model::IpAddress& address, bool announce);

}  // namespace lbctl::config
