#include "lbctl/config/config.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lbctl::config {

std::uint32_t check_mark(const Server& server) {
  return check_marks | static_cast<std::uint32_t>(server.id.low);
}

std::string Position::text() const {
  return fmt::format("{}:{}:{}", file, line, column);
}

model::L4 layer4(Protocol protocol) {
  return protocol == Protocol::tcp || protocol == Protocol::mptcp ? model::L4::tcp : model::L4::udp;
}

std::optional<model::IpAddress> Server::address_of(model::Family family) const {
  const auto found = std::ranges::find(addresses, family, &model::IpAddress::family);
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

bool Service::has_vip_of(model::Family family) const {
  return std::ranges::find(vips, family, &model::IpAddress::family) != vips.end();
}

std::vector<model::PortRange> Service::all_ranges() const {
  std::vector<model::PortRange> out = ranges;
  for (const model::Port port : ports)
    out.push_back({port, port});
  return out;
}

std::vector<model::EndpointKey> Service::announced(const Server& server) const {
  std::vector<model::EndpointKey> out;
  if (mptcp.signal == Signal::address) {
    for (const model::IpAddress& address : server.signal)
      out.push_back({address, {}});
    return out;
  }
  const auto port = static_cast<std::uint16_t>(mptcp.port_base + server.id.low);
  for (const model::IpAddress& vip : vips)
    out.push_back({vip, model::Port{port}});
  return out;
}

std::vector<std::string> Config::node_names() const {
  std::vector<std::string> out;
  out.reserve(directors.size() + servers.size());
  for (const auto& [name, director] : directors)
    out.push_back(name);
  for (const auto& [name, server] : servers)
    out.push_back(name);
  return out;
}

}  // namespace lbctl::config
