// What a real server needs to unpack what directors send it through tunnels.
#include "resolve_parts.hpp"

namespace lbctl::config {
namespace {

using model::Family;
using model::TunnelKind;
using model::TunnelType;

TunnelKind kind_of(TunnelType type, Family family) {
  // GUE is taken off by the UDP port; what comes out of it is a packet of ipip or ip6tnl.
  if (type == TunnelType::gre) return family == Family::v4 ? TunnelKind::gre : TunnelKind::ip6gre;
  return family == Family::v4 ? TunnelKind::ipip : TunnelKind::ip6tnl;
}

/// One of a kind is enough: it takes packets from every director.
std::string device_name(TunnelKind kind) {
  return "lbctl-" + std::string(name(kind));
}

}  // namespace

void add_tunnels(model::NodeState& state, const Server& server, const Service& service) {
  if (service.forward != model::Forward::tunnel) return;
  const model::Tunnel& tunnel = service.tunnel;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto address = server.address_of(family);
    if (!service.has_vip_of(family) || !address) continue;
    const TunnelKind kind = kind_of(tunnel.type, family);
    state.tunnels.devices[device_name(kind)] = {
        .kind = kind,
        .local = *address,
        .remote = {},
        .checksum =
            tunnel.type == TunnelType::gre && tunnel.checksum == model::TunnelChecksum::full,
        .up = true,
        .rp_filter = 0};
    if (tunnel.type == TunnelType::gue) state.tunnels.ports[{family, tunnel.port}] = {.gue = true};
    // The greater of this and the device's own counts. Clients are not reached through the tunnel,
    // so with 1 their packets are dropped; with 2, too, as the device has no address.
    if (family == Family::v4) state.sysctls["net/ipv4/conf/all/rp_filter"] = "0";
  }
}

}  // namespace lbctl::config
