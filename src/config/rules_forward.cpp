// What must hold for the way a service's packets travel, and for the limits of its servers.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "draft.hpp"

namespace lbctl::config {
namespace {

using model::Family;
using model::Forward;
using model::TunnelChecksum;
using model::TunnelType;

std::string text(Forward forward) {
  return fmt::format("forward = \"{}\"", name(forward));
}

/// Only masquerade rewrites packets.
void check_ports(const DraftService& service, Report& report) {
  if (service.forward.value == Forward::masquerade || !service.forward_known) return;
  const auto check = [&](std::string_view key, const std::optional<Spanned<std::uint16_t>>& to) {
    if (!to) return;
    const auto other = std::ranges::find_if(
        service.ports.items, [&](const auto& port) { return port.value != to->value; });
    if (other == service.ports.items.end() && service.ranges.items.empty()) return;
    const std::string theirs = other == service.ports.items.end()
                                   ? service.ranges.items.front().value.text()
                                   : fmt::format("port {}", other->value);
    report.error(to->at,
                 fmt::format("{} {}, but clients of service {} come to {}: {} can't change it", key,
                             to->value, service.name, theirs, text(service.forward.value)),
                 "forward = \"masquerade\" can, or let the server listen on the service's port");
  };
  check("server_port", service.server_port);
  for (const auto& use : service.servers.items)
    check("port", use.value.port);
}

void check_protocols(const DraftService& service, Report& report) {
  const Forward forward = service.forward.value;
  if (forward == Forward::route) return;
  const bool masquerade = forward == Forward::masquerade;
  const auto refuse = [&](Protocol protocol, std::string hint) {
    if (!service.has(protocol)) return;
    report.error(service.forward.at,
                 fmt::format("{} does not work with {}", name(protocol), text(forward)),
                 std::move(hint));
  };
  refuse(
      Protocol::mptcp,
      masquerade
          ? "joins come to a server's signal address, past IPVS; its answers from there would "
            "come to the director, which holds that address, too: use \"tcp\", or \"dr\""
          : "joins are brought to a server's signal address by Ethernet, not through the tunnel: "
            "use \"tcp\", or \"dr\"");
  refuse(Protocol::quic,
         masquerade ? "servers hand packets on to each other by connection ID as they came: to the "
                      "VIP; here each gets them to its own address: use \"udp\", or \"dr\""
                    : "the XDP program on the servers sees the tunnel's packets, not the QUIC "
                      "packets inside: use \"udp\", or \"dr\"");
}

void check_tunnel(const DraftService& service, Report& report) {
  if (!service.tunnel) return;
  const DraftTunnel& tunnel = *service.tunnel;
  if (service.forward.value != Forward::tunnel && service.forward_known) {
    report.warning(tunnel.at,
                   fmt::format("this has no effect: service {} has {}", service.name,
                               text(service.forward.value)),
                   "write forward = \"tunnel\", or leave this out");
  }
  if (!tunnel.whole) return;
  if (tunnel.port && tunnel.type != TunnelType::gue) {
    report.error(tunnel.port->at, fmt::format("{} has no port", name(tunnel.type)),
                 "type = \"gue\" is the one over UDP; leave port out for the others");
  }
  const bool knows =
      tunnel.checksum.value == TunnelChecksum::none || tunnel.type == TunnelType::gue ||
      (tunnel.type == TunnelType::gre && tunnel.checksum.value == TunnelChecksum::full);
  if (!knows) {
    report.error(
        tunnel.checksum.at,
        fmt::format("{} knows no checksum \"{}\"", name(tunnel.type), name(tunnel.checksum.value)),
        tunnel.type == TunnelType::gre ? "\"none\" or \"full\"" : "leave it out");
  }
}

void check_one_packet(const DraftService& service, Report& report) {
  if (!service.one_packet.value || !service.protocols.whole) return;
  const Span at = service.one_packet.at;
  if (!service.has(Protocol::udp) && !service.has(Protocol::quic)) {
    report.error(at, fmt::format("one_packet, but service {} has no UDP", service.name),
                 "the kernel schedules single packets of UDP only");
  } else if (service.forward.value == Forward::masquerade) {
    report.error(at, "one_packet does not work with forward = \"masquerade\"",
                 "the kernel forgets the packet at once, so nobody rewrites the answer");
  }
  if (service.has(Protocol::quic)) {
    report.warning(at, "one_packet with quic: packets of one handshake may reach several servers",
                   "a client sends more than one before it knows a connection ID of the server");
  }
}

void check_notrack(const DraftService& service, Report& report) {
  if (!service.notrack.value || service.forward.value != Forward::masquerade) return;
  report.error(
      service.notrack.at, "notrack does not go with forward = \"masquerade\"",
      "answers pass the director there, so conntrack sees whole connections; leave it out");
}

void check_netmask(const DraftService& service, Report& report) {
  if (!service.netmask) return;
  if (!service.has_persistence) {
    return report.error(*service.netmask, "persistence_netmask without persistence_timeout",
                        "it tells which clients stay together for that time");
  }
  const auto unused = [&](const std::optional<Spanned<std::uint8_t>>& prefix, Family family) {
    const bool used = std::ranges::any_of(
        service.vips.items, [&](const auto& vip) { return vip.value.family() == family; });
    if (!prefix || used || !service.vips.whole) return;
    report.warning(prefix->at, fmt::format("this has no effect: service {} has no {} VIP",
                                           service.name, name(family)));
  };
  unused(service.netmask_v4, Family::v4);
  unused(service.netmask_v6, Family::v6);
}

void check_limits(const DraftService& service, Report& report) {
  if (!service.limits.whole) return;
  bool any = false;
  for (const auto& use : service.servers.items) {
    const auto upper =
        use.value.limits.upper.value_or(service.limits.upper.value_or(Spanned<std::uint32_t>{}));
    const auto lower =
        use.value.limits.lower.value_or(service.limits.lower.value_or(Spanned<std::uint32_t>{}));
    any = any || upper.value != 0;
    if (lower.value == 0 || lower.value < upper.value) continue;
    // Of the two the one that stands nearer to the server.
    const Span at = use.value.limits.lower || !use.value.limits.upper ? lower.at : upper.at;
    report.error(at,
                 upper.value == 0 ? fmt::format("lthreshold {} without uthreshold", lower.value)
                                  : fmt::format("lthreshold {} is not below uthreshold {}",
                                                lower.value, upper.value),
                 "a server that reached uthreshold takes new connections again below lthreshold");
  }
  const bool tcp = service.has(Protocol::tcp) || service.has(Protocol::mptcp);
  if (any && service.one_packet.value && !tcp && service.protocols.whole) {
    report.warning(service.one_packet.at,
                   "with one_packet uthreshold has no effect: no connections are kept to count");
  }
}

}  // namespace

void check_forward(const DraftService& service, Report& report) {
  check_ports(service, report);
  check_protocols(service, report);
  check_tunnel(service, report);
  check_one_packet(service, report);
  check_notrack(service, report);
  check_netmask(service, report);
  check_limits(service, report);
}

void check_ways_back(const Draft& draft, Report& report) {
  std::map<std::string_view, const DraftService*> direct;
  for (const DraftService& service : draft.services) {
    if (service.forward.value == Forward::masquerade) continue;
    for (const auto& use : service.servers.items)
      direct.emplace(use.value.name, &service);
  }
  for (const DraftService& service : draft.services) {
    if (service.forward.value != Forward::masquerade) continue;
    for (const auto& use : service.servers.items) {
      const auto found = direct.find(use.value.name);
      if (found == direct.end()) continue;
      const DraftService& other = *found->second;
      report.warning(
          service.forward.at,
          fmt::format("server {} answers through the director here, but not for service {} ({})",
                      use.value.name, other.name, text(other.forward.value)),
          fmt::format("the director drops answers from service {}'s VIP: route them past it, by a "
                      "rule on the server (ip rule add from VIP lookup TABLE)",
                      other.name));
      break;
    }
  }
}

}  // namespace lbctl::config
