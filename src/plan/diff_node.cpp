// The differences in what a node holds once: IPVS timeouts, sync daemons, tunnel ends.
#include "lbctl/plan/diff.hpp"
#include "parts.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

void set_timeouts(const IpvsTimeouts& to, const IpvsTimeouts& have, Phase phase, Reason why,
                  Operations& out) {
  const IpvsTimeouts changed = to.differing(have);
  // A kernel without a protocol (CONFIG_IP_VS_PROTO_UDP) reads 0 for it.
  if (!changed.empty()) out.push_back({phase, SetIpvsTimeouts{have.only(changed), changed}, why});
}

}  // namespace

void diff_ipvs_node(const IpvsNode& want, const IpvsNode& have, const IpvsTimeouts& before,
                    bool anew, Reason removal, Operations& out) {
  set_timeouts(want.timeouts, have.timeouts, Phase::set_sysctl, Reason::differs, out);
  IpvsTimeouts back = before;
  if (want.timeouts.tcp != 0) back.tcp = 0;
  if (want.timeouts.tcp_fin != 0) back.tcp_fin = 0;
  if (want.timeouts.udp != 0) back.udp = 0;
  set_timeouts(back, have.timeouts, Phase::restore_sysctl, removal, out);
  walk(
      want.daemons, have.daemons,
      [&](SyncRole role, const SyncDaemon& daemon) {
        out.push_back({Phase::add_ipvs, StartSync{role, daemon}, Reason::not_in_kernel});
      },
      [&](SyncRole role, const SyncDaemon& to, const SyncDaemon& from) {
        if (!anew && from == to) return;
        out.push_back({Phase::stop_sync, StopSync{role, from}, Reason::differs});
        out.push_back({Phase::add_ipvs, StartSync{role, to}, Reason::differs});
      },
      [&](SyncRole role, const SyncDaemon& daemon) {
        const Phase phase = anew ? Phase::stop_sync : Phase::remove_ipvs;
        out.push_back({phase, StopSync{role, daemon}, removal});
      });
}

void diff_tunnels(const TunnelState& want, const TunnelState& have, Reason removal,
                  Operations& out) {
  walk(
      want.devices, have.devices,
      [&](const std::string& name, const TunnelDevice& device) {
        out.push_back({Phase::add_tunnel, AddTunnel{name, device}, Reason::not_in_kernel});
      },
      [&](const std::string& name, const TunnelDevice& to, const TunnelDevice& from) {
        if (to == from) return;
        if (to.same_ends(from)) {
          out.push_back({Phase::add_tunnel, SetTunnel{name, from, to}, Reason::differs});
          return;
        }
        // The kernel refuses two of the same ends, and a name stands once.
        out.push_back({Phase::add_tunnel, RemoveTunnel{name, from}, Reason::differs});
        out.push_back({Phase::add_tunnel, AddTunnel{name, to}, Reason::differs});
      },
      [&](const std::string& name, const TunnelDevice& device) {
        out.push_back({Phase::remove_tunnel, RemoveTunnel{name, device}, removal});
      });
  walk(
      want.ports, have.ports,
      [&](const FouKey& key, const FouPort& port) {
        out.push_back({Phase::add_tunnel, AddFou{key, port}, Reason::not_in_kernel});
      },
      [&](const FouKey& key, const FouPort& to, const FouPort& from) {
        if (to == from) return;
        out.push_back({Phase::add_tunnel, RemoveFou{key, from}, Reason::differs});
        out.push_back({Phase::add_tunnel, AddFou{key, to}, Reason::differs});
      },
      [&](const FouKey& key, const FouPort& port) {
        out.push_back({Phase::remove_tunnel, RemoveFou{key, port}, removal});
      });
}

}  // namespace lbctl::plan
