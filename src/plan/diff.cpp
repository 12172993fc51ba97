#include "lbctl/plan/diff.hpp"

#include <algorithm>

#include "parts.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

/// start_sync_thread() looks at it only while no daemon runs.
bool changes_sync_ports(const Operations& operations) {
  return std::ranges::any_of(operations, [](const Operation& operation) {
    const auto* set = std::get_if<SetSysctl>(&operation.action);
    return set != nullptr && set->path == "net/ipv4/vs/sync_ports";
  });
}

/// By phase, and within a phase as they came. Most plans are in order already, and a large one
/// would need half its size again to be sorted.
void put_in_phases(Operations& operations) {
  if (!std::ranges::is_sorted(operations, {}, &Operation::phase))
    std::ranges::stable_sort(operations, {}, &Operation::phase);
}

}  // namespace

std::vector<Operation> diff(const NodeState& want, const NodeState& have, const Before& before,
                            Reason removal) {
  Operations out;
  diff_sysctls(want.sysctls, have.sysctls, before.sysctls, removal, out);
  diff_ipvs_node(want.ipvs_node, have.ipvs_node, before.timeouts, changes_sync_ports(out), removal,
                 out);
  diff_ipvs(want.ipvs, have.ipvs, removal, out);
  diff_nft(want.nft, have.nft, removal, out);
  diff_addresses(want.addresses, have.addresses, removal, out);
  diff_mptcp(want.mptcp, have.mptcp, before.limits, removal, out);
  diff_xdp(want.xdp, have.xdp, removal, out);
  diff_tunnels(want.tunnels, have.tunnels, removal, out);
  diff_units(want.units, have.units, removal, out);
  put_in_phases(out);
  return out;
}

void diff_sysctls(const SysctlState& want, const SysctlState& have, const SysctlState& before,
                  Reason removal, Operations& out) {
  const auto change = [&](const std::string& path, const std::string& to, Phase phase, Reason why) {
    const auto now = have.find(path);
    // A path that is gone (its module or device went away) has nothing left to restore; a wanted
    // one that is missing is for the caller to refuse before anything is changed.
    if (now == have.end() || sysctl_equal(path, now->second, to)) return;
    out.push_back({phase, SetSysctl{path, now->second, to}, why});
  };
  for (const auto& [path, value] : want)
    change(path, value, Phase::set_sysctl, Reason::differs);
  for (const auto& [path, value] : before)
    if (!want.contains(path)) change(path, value, Phase::restore_sysctl, removal);
}

namespace {

VirtualService settings_of(const VirtualService& service) {
  VirtualService out = service;
  out.destinations.clear();
  return out;
}

void diff_destinations(const ServiceKey& key, const VirtualService& want,
                       const VirtualService& have, Reason removal, Operations& out) {
  walk(
      want.destinations, have.destinations,
      [&](const DestinationKey& k, const Destination& d) {
        out.push_back({Phase::add_ipvs, AddDestination{key, k, d}, Reason::not_in_kernel});
      },
      [&](const DestinationKey& k, const Destination& to, const Destination& from) {
        if (to == from) return;
        const bool drains = number(to.weight) == 0 && number(from.weight) != 0;
        out.push_back({drains ? Phase::drain_ipvs : Phase::add_ipvs,
                       EditDestination{key, k, from, to}, Reason::differs});
      },
      [&](const DestinationKey& k, const Destination&) {
        out.push_back({Phase::remove_ipvs, RemoveDestination{key, k}, removal});
      });
}

/// Taking the fallback flag away: as long as a destination of weight 0 is there, the schedulers
/// that hash need it.
bool ends_fallback(const VirtualService& from, const VirtualService& to) {
  VirtualService with = from;
  with.flags.sched1 = false;
  return from.flags.sched1 && with.same_settings(to);
}

}  // namespace

void diff_ipvs(const IpvsState& want, const IpvsState& have, Reason removal, Operations& out) {
  walk(
      want, have,
      [&](const ServiceKey& key, const VirtualService& service) {
        out.push_back(
            {Phase::add_ipvs, AddService{key, settings_of(service)}, Reason::not_in_kernel});
        diff_destinations(key, service, {}, removal, out);
      },
      [&](const ServiceKey& key, const VirtualService& to, const VirtualService& from) {
        const bool last = ends_fallback(from, to);
        if (last) diff_destinations(key, to, from, removal, out);
        if (!to.same_settings(from))
          out.push_back({last ? Phase::remove_ipvs : Phase::add_ipvs,
                         EditService{key, settings_of(from), settings_of(to)}, Reason::differs});
        if (!last) diff_destinations(key, to, from, removal, out);
      },
      [&](const ServiceKey& key, const VirtualService&) {
        out.push_back({Phase::remove_ipvs, RemoveService{key}, removal});
      });
}

namespace {

/// The table, then its addresses one by one. A backend carries out a run of nft operations in one
/// transaction, so nobody sees the table without them.
void make_forward(const SignalForward& forward, bool replaces, Operations& out) {
  const Reason why = replaces ? Reason::differs : Reason::not_in_kernel;
  SignalForward bare = forward;
  bare.addresses.clear();
  out.push_back({Phase::add_nft, CreateForward{std::move(bare), replaces}, why});
  for (const auto& [signal, target] : forward.addresses)
    out.push_back({Phase::add_nft, SetSignal{signal, {}, target}, why});
}

/// Those of one address and protocol do not overlap each other, and stand in the order of their
/// ports.
bool overlaps_any(const Marks& marks, const MarkKey& key) {
  const auto after = marks.upper_bound(key);
  return (after != marks.end() && after->first.overlaps(key)) ||
         (after != marks.begin() && std::prev(after)->first.overlaps(key));
}

void diff_forward(const NftState& want, const NftState& have, Reason removal, Operations& out) {
  if (!want.forward) {
    if (have.forward) out.push_back({Phase::remove_nft, RemoveForward{}, removal});
    return;
  }
  if (!have.forward || !have.intact || !want.forward->same_rules(*have.forward)) {
    make_forward(*want.forward, have.forward.has_value(), out);
    return;
  }
  walk(
      want.forward->addresses, have.forward->addresses,
      [&](const EndpointKey& signal, const ForwardTarget& to) {
        out.push_back({Phase::add_nft, SetSignal{signal, {}, to}, Reason::not_in_kernel});
      },
      [&](const EndpointKey& signal, const ForwardTarget& to, const ForwardTarget& from) {
        if (to != from)
          out.push_back({Phase::add_nft, SetSignal{signal, from, to}, Reason::differs});
      },
      [&](const EndpointKey& signal, const ForwardTarget& from) {
        out.push_back({Phase::remove_nft, RemoveSignal{signal, from}, removal});
      });
}

/// A map takes no two ranges that overlap: what is in the way goes first, in the transaction that
/// adds the other.
void diff_marks(const NftState& want, const NftState& have, Reason removal, Operations& out) {
  if (!want.marks) {
    if (have.marks) out.push_back({Phase::unmark, RemoveMarks{}, removal});
    return;
  }
  const MarkChains chains = chains_for(*want.marks);
  const bool replaces = have.marks && !(have.marks_intact && chains_for(*have.marks) == chains);
  if (!have.marks || replaces)
    out.push_back({Phase::add_nft, CreateMarks{chains, replaces},
                   replaces ? Reason::differs : Reason::not_in_kernel});
  const Marks standing = have.marks && !replaces ? *have.marks : Marks{};
  Operations added;
  walk(
      *want.marks, standing,
      [&](const MarkKey& key, const Mark& to) {
        added.push_back({Phase::add_nft, SetMark{key, {}, to}, Reason::not_in_kernel});
      },
      [&](const MarkKey& key, const Mark& to, const Mark& from) {
        if (to != from) added.push_back({Phase::add_nft, SetMark{key, from, to}, Reason::differs});
      },
      [&](const MarkKey& key, const Mark& from) {
        const bool in_the_way = overlaps_any(*want.marks, key);
        out.push_back(
            {in_the_way ? Phase::add_nft : Phase::unmark, RemoveMark{key, from}, removal});
      });
  std::ranges::move(added, std::back_inserter(out));
}

}  // namespace

void diff_nft(const NftState& want, const NftState& have, Reason removal, Operations& out) {
  diff_forward(want, have, removal, out);
  diff_marks(want, have, removal, out);
}

void diff_addresses(const std::map<AddressKey, AddressSettings>& want,
                    const std::map<AddressKey, AddressSettings>& have, Reason removal,
                    Operations& out) {
  walk(
      want, have,
      [&](const AddressKey& key, const AddressSettings& settings) {
        out.push_back({Phase::add_address, AddAddress{key, settings}, Reason::not_in_kernel});
      },
      [&](const AddressKey& key, const AddressSettings& to, const AddressSettings& from) {
        if (to == from) return;
        out.push_back({Phase::add_address, AddAddress{key, to, true}, Reason::differs});
      },
      [&](const AddressKey& key, const AddressSettings&) {
        out.push_back({Phase::remove_address, RemoveAddress{key}, removal});
      });
}

void diff_mptcp(const MptcpState& want, const MptcpState& have,
                const std::optional<MptcpLimits>& before, Reason removal, Operations& out) {
  const auto& limits = want.limits ? want.limits : before;
  if (limits && have.limits && *limits != *have.limits)
    out.push_back({want.limits ? Phase::add_endpoint : Phase::restore_sysctl,
                   SetMptcpLimits{*have.limits, *limits}, want.limits ? Reason::differs : removal});
  walk(
      want.endpoints, have.endpoints,
      [&](const EndpointKey& key, const Endpoint& endpoint) {
        out.push_back({Phase::add_endpoint, AddEndpoint{key, endpoint}, Reason::not_in_kernel});
      },
      [&](const EndpointKey& key, const Endpoint& to, const Endpoint& from) {
        if (to == from) return;
        Endpoint flagged = from;
        flagged.backup = to.backup;
        if (flagged == to) {
          out.push_back({to.backup ? Phase::remove_endpoint : Phase::add_endpoint,
                         SetEndpoint{key, from, to}, to.backup ? removal : Reason::differs});
          return;
        }
        // The kernel holds one endpoint per address and port, so the old one has to go first.
        out.push_back({Phase::add_endpoint, RemoveEndpoint{key, from}, Reason::differs});
        out.push_back({Phase::add_endpoint, AddEndpoint{key, to}, Reason::differs});
      },
      [&](const EndpointKey& key, const Endpoint& endpoint) {
        out.push_back({Phase::remove_endpoint, RemoveEndpoint{key, endpoint}, removal});
      });
}

void diff_xdp(const XdpState& want, const XdpState& have, Reason removal, Operations& out) {
  walk(
      want.services, have.services,
      [&](const SteeredKey& key, const SteeredService& to) {
        out.push_back(
            {Phase::fill_steering, SetSteeredService{key, {}, to}, Reason::not_in_kernel});
      },
      [&](const SteeredKey& key, const SteeredService& to, const SteeredService& from) {
        if (to != from)
          out.push_back({Phase::fill_steering, SetSteeredService{key, from, to}, Reason::differs});
      },
      [&](const SteeredKey& key, const SteeredService&) {
        out.push_back({Phase::empty_steering, RemoveSteeredService{key}, removal});
      });
  walk(
      want.servers, have.servers,
      [&](const ServerId& id, const SteerTarget& to) {
        out.push_back({Phase::fill_steering, SetSteerTarget{id, {}, to}, Reason::not_in_kernel});
      },
      [&](const ServerId& id, const SteerTarget& to, const SteerTarget& from) {
        if (to != from)
          out.push_back({Phase::fill_steering, SetSteerTarget{id, from, to}, Reason::differs});
      },
      [&](const ServerId& id, const SteerTarget&) {
        out.push_back({Phase::empty_steering, RemoveSteerTarget{id}, removal});
      });
  walk(
      want.attachments, have.attachments,
      [&](const std::string& device, const XdpAttachment& to) {
        out.push_back({Phase::attach_xdp, AttachXdp{device, {}, to}, Reason::not_in_kernel});
      },
      [&](const std::string& device, const XdpAttachment& to, const XdpAttachment& from) {
        if (!from.satisfies(to))
          out.push_back({Phase::attach_xdp, AttachXdp{device, from, to}, Reason::differs});
      },
      [&](const std::string& device, const XdpAttachment&) {
        out.push_back({Phase::detach_xdp, DetachXdp{device}, removal});
      });
}

}  // namespace lbctl::plan
