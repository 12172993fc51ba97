// The two halves of resolve(), one per role.
#pragma once

#include "lbctl/config/resolve.hpp"

namespace lbctl::config {

/// What of a director's servers is not as the file has it.
struct Circumstances {
  std::span<const model::DrainIntent> drains;
  const model::Health& health;

  /// The intent that takes the server out of the service; the more special one counts.
  const model::DrainIntent* drain(const std::string& server, const std::string& service) const;
  model::ServerHealth of(const std::string& server, const std::string& service) const;
  bool sorry(const std::string& service) const;  ///< the sorry server stands in
};

Desired resolve_director(const Config& config, const Director& director,
                         const Circumstances& circumstances);
Desired resolve_server(const Config& config, const Server& server, const model::NodeFacts& facts);

/// Into a state that has the director's services already.
void add_ipvs_node(model::NodeState& state, const Config& config, const Director& director);

/// The table at ingress of these devices, made if it is not there.
model::SignalForward& table_at(model::NodeState& state, const std::set<std::string>& devices,
                               const std::string& server_device);
/// The limit on joins to what this server announces for the service.
void limit_joins(model::SignalForward& table, const Service& service, const Server& server);
/// The rest of the service's guard: what stands before its VIPs.
void guard_vips(model::SignalForward& table, const Service& service);

/// Nothing for a service that is not tunnelled.
void add_tunnels(model::NodeState& state, const Server& server, const Service& service);

/// The services of the file, and those that were asked for by hand.
Result<> add_units(model::NodeState& state, const Server* server, const model::UnitFacts& facts);

/// A host address of lbctl's own on `device`.
void add_address(model::NodeState& state, const std::string& device,
                 const model::IpAddress& address, bool announce);

}  // namespace lbctl::config
