// What services that are tunnelled to one server must agree on: it has one end of each kind.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "draft.hpp"

namespace lbctl::config {
namespace {

using model::Forward;
using model::TunnelType;

bool is_tunnelled(const DraftService& service, TunnelType type) {
  return service.forward.value == Forward::tunnel && service.tunnel && service.tunnel->whole &&
         service.tunnel->type == type;
}

/// The kernel refuses a second GRE device with the same ends, and one takes only packets that have
/// the checksum, or only packets that do not.
void agree_on_gre(const Draft& draft, Report& report) {
  std::map<std::string_view, const DraftService*> first;
  for (const DraftService& service : draft.services) {
    if (!is_tunnelled(service, TunnelType::gre)) continue;
    const auto& checksum = service.tunnel->checksum;
    for (const auto& use : service.servers.items) {
      const auto [found, is_new] = first.emplace(use.value.name, &service);
      const auto& other = found->second->tunnel->checksum;
      if (is_new || other.value == checksum.value) continue;
      report.error(
          service.tunnel->at,
          fmt::format("gre with checksum \"{}\" here and \"{}\" in service {}, and both "
                      "use server {}",
                      name(checksum.value), name(other.value), found->second->name, use.value.name),
          "a server has one end for gre, which takes one or the other");
      break;
    }
  }
}

/// The kernel itself takes what comes to the port, on all addresses of the server.
void keep_gue_port_free(const Draft& draft, Report& report) {
  for (const DraftService& gue : draft.services) {
    if (!is_tunnelled(gue, TunnelType::gue)) continue;
    const std::uint16_t port = gue.tunnel->port ? gue.tunnel->port->value : default_gue_port;
    for (const DraftService& service : draft.services) {
      if (!service.has(Protocol::udp) && !service.has(Protocol::quic)) continue;
      const auto taken =
          std::ranges::find(service.ports.items, port, [](const auto& item) { return item.value; });
      const auto shared = std::ranges::find_if(service.servers.items, [&](const auto& use) {
        return std::ranges::any_of(gue.servers.items, [&](const auto& other) {
          return other.value.name == use.value.name;
        });
      });
      if (taken == service.ports.items.end() || shared == service.servers.items.end()) continue;
      report.error(taken->at,
                   fmt::format("UDP port {} of server {} is where the tunnel of service {} ends",
                               port, shared->value.name, gue.name),
                   "give the tunnel another port");
    }
  }
}

}  // namespace

void check_tunnel_ends(const Draft& draft, Report& report) {
  agree_on_gre(draft, report);
  keep_gue_port_free(draft, report);
}

}  // namespace lbctl::config
