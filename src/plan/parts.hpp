// One diff per subsystem; each appends its operations in the order of the keys.
#pragma once

#include <vector>

#include "lbctl/plan/diff.hpp"

namespace lbctl::plan {

using Operations = std::vector<model::Operation>;

void diff_sysctls(const model::SysctlState& want, const model::SysctlState& have,
                  const model::SysctlState& before, model::Reason removal, Operations& out);
void diff_ipvs(const model::IpvsState& want, const model::IpvsState& have, model::Reason removal,
               Operations& out);
/// `anew`: every daemon has to start anew, for a sysctl that counts only then.
void diff_ipvs_node(const model::IpvsNode& want, const model::IpvsNode& have,
                    const model::IpvsTimeouts& before, bool anew, model::Reason removal,
                    Operations& out);
void diff_tunnels(const model::TunnelState& want, const model::TunnelState& have,
                  model::Reason removal, Operations& out);
void diff_units(const model::UnitState& want, const model::UnitState& have, model::Reason removal,
                Operations& out);
void diff_nft(const model::NftState& want, const model::NftState& have, model::Reason removal,
              Operations& out);
void diff_addresses(const std::map<model::AddressKey, model::AddressSettings>& want,
                    const std::map<model::AddressKey, model::AddressSettings>& have,
                    model::Reason removal, Operations& out);
void diff_mptcp(const model::MptcpState& want, const model::MptcpState& have,
                const std::optional<model::MptcpLimits>& before, model::Reason removal,
                Operations& out);
void diff_xdp(const model::XdpState& want, const model::XdpState& have, model::Reason removal,
              Operations& out);

/// Walks two ordered maps once: `add(key, wanted)`, `both(key, wanted, present)`,
/// `remove(key, present)`.
template <class Map, class Add, class Both, class Remove>
void walk(const Map& want, const Map& have, Add add, Both both, Remove remove) {
  auto w = want.begin();
  auto h = have.begin();
  while (w != want.end() || h != have.end()) {
    if (h == have.end() || (w != want.end() && w->first < h->first)) {
      add(w->first, w->second);
      ++w;
    } else if (w == want.end() || h->first < w->first) {
      remove(h->first, h->second);
      ++h;
    } else {
      both(w->first, w->second, h->second);
      ++w;
      ++h;
    }
  }
}

}  // namespace lbctl::plan
