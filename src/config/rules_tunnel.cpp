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

/// Where the service names that port, alone or in a range.
std::optional<Span> place_of(const DraftService& service, std::uint16_t port) {
  const auto& ports = service.ports.items;
  const auto& ranges = service.ranges.items;
  const auto alone = std::ranges::find(ports, port, &Spanned<std::uint16_t>::value);
  if (alone != ports.end()) return alone->at;
  const model::PortRange here{model::Port{port}, model::Port{port}};
  const auto range =
      std::ranges::find_if(ranges, [&](const auto& item) { return item.value.overlaps(here); });
  return range == ranges.end() ? std::nullopt : std::optional(range->at);
}

/// The kernel itself takes what comes to the port, on all addresses of the server.
void keep_gue_port_free(const Draft& draft, Report& report) {
  for (const DraftService& gue : draft.services) {
    if (!is_tunnelled(gue, TunnelType::gue)) continue;
    const std::uint16_t port = gue.tunnel->port ? gue.tunnel->port->value : default_gue_port;
    for (const DraftService& service : draft.services) {
      if (!service.has(Protocol::udp) && !service.has(Protocol::quic)) continue;
      const std::optional<Span> taken = place_of(service, port);
      const auto shared = std::ranges::find_if(service.servers.items, [&](const auto& use) {
        return std::ranges::any_of(gue.servers.items, [&](const auto& other) {
          return other.value.name == use.value.name;
        });
      });
      if (!taken || shared == service.servers.items.end()) continue;
      report.error(*taken,
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
