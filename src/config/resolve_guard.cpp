// What stands before VIPs and signal addresses, on directors and real servers alike.
#include <fmt/format.h>

#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

using model::EndpointKey;
using model::Family;

void limit(model::SignalForward& table, const Service& service, std::string_view what,
           const model::Rate& rate, const EndpointKey& to) {
  const Family family = to.address.family();
  model::SourceLimit& one =
      table.limits[fmt::format("{}{}_{}", what, family == Family::v4 ? 4 : 6, service.name)];
  one.rate = rate;
  one.prefix = service.guard.prefix(family);
  one.to.insert(to);
}

}  // namespace

model::SignalForward& table_at(model::NodeState& state, const std::set<std::string>& devices,
                               const std::string& server_device) {
  if (!state.nft.forward) state.nft.forward.emplace();
  state.nft.forward->client_devices = devices;
  state.nft.forward->server_device = server_device;
  return *state.nft.forward;
}

void limit_joins(model::SignalForward& table, const Service& service, const Server& server) {
  if (!service.mptcp.syn) return;
  for (const EndpointKey& signal : service.announced(server)) {
    const std::vector<model::Port> own{signal.port};
    for (const model::Port port : number(signal.port) != 0 ? own : service.ports)
      limit(table, service, "join", *service.mptcp.syn, {signal.address, port});
  }
}

void guard_vips(model::SignalForward& table, const Service& service) {
  for (const model::IpAddress& vip : service.vips)
    for (const model::Port port : service.ports) {
      if (service.guard.syn) limit(table, service, "syn", *service.guard.syn, {vip, port});
      if (service.guard.mptcp_only) table.mptcp_only.insert({vip, port});
    }
}

}  // namespace lbctl::config
