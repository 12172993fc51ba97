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
  const auto director = config.directors.find(node);
  const auto server = config.servers.find(node);
  if (director == config.directors.end() && server == config.servers.end())
    return fail(Errc::not_found, fmt::format("no node \"{}\" in the file", node));
  const bool directs = director != config.directors.end();
  Desired out = directs ? resolve_director(config, director->second, {drains, health})
                        : resolve_server(config, server->second, facts);
  if (auto added = add_units(out.state, directs ? nullptr : &server->second, facts.units); !added)
    return fail(std::move(added.error()));
  return out;
}

}  // namespace lbctl::config
