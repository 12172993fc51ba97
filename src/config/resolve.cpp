#include "lbctl/config/resolve.hpp"

#include <fmt/format.h>

#include "resolve_parts.hpp"

namespace lbctl::config {

std::string_view name(Role role) {
  return role == Role::director ? "director" : "real server";
}

void add_address(model::NodeState& state, const std::string& device,
                 const model::IpAddress& address, bool announce) {
  state.addresses[{device, address, address.full_prefix()}] = {model::rtnl_protocol, announce};
}

Result<Desired> resolve(const Config& config, const std::string& node,
                        const model::NodeFacts& facts, std::span<const model::DrainIntent> drains,
                        const model::Health& health) {
  if (const auto found = config.directors.find(node); found != config.directors.end()) {
    return resolve_director(config, found->second, {drains, health});
  }
  if (const auto found = config.servers.find(node); found != config.servers.end()) {
    return resolve_server(config, found->second, facts);
  }
  return fail(Errc::not_found, fmt::format("no node \"{}\" in the file", node));
}

}  // namespace lbctl::config
