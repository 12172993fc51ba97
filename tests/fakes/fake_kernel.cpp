#include "fake_kernel.hpp"

#include <algorithm>

namespace lbctl::fakes {

using namespace model;

namespace {

/// The kernel's answers: EEXIST when it is there, ENOENT when it is not.
template <class Map, class Key, class Value>
Result<> insert(Map& map, const Key& key, Value value) {
  if (!map.emplace(key, std::move(value)).second) return fail_errno("fake kernel: add", EEXIST);
  return {};
}

template <class Map, class Key>
Result<> erase(Map& map, const Key& key) {
  if (map.erase(key) == 0) return fail_errno("fake kernel: remove", ENOENT);
  return {};
}

template <class Map, class Key, class Value>
Result<> replace(Map& map, const Key& key, Value value) {
  const auto it = map.find(key);
  if (it == map.end()) return fail_errno("fake kernel: change", ENOENT);
  it->second = std::move(value);
  return {};
}

struct Perform {
  NodeState& state;

  VirtualService* service(const ServiceKey& key) const {
    const auto it = state.ipvs.find(key);
    return it == state.ipvs.end() ? nullptr : &it->second;
  }

  Result<> operator()(const SetSysctl& a) const { return replace(state.sysctls, a.path, a.to); }
  Result<> operator()(const AddService& a) const { return insert(state.ipvs, a.key, a.service); }
  Result<> operator()(const EditService& a) const {
    VirtualService* have = service(a.key);
    if (have == nullptr) return fail_errno("fake kernel: edit service", ESRCH);
    auto destinations = std::move(have->destinations);
    *have = a.to;
    have->destinations = std::move(destinations);
    return {};
  }
  Result<> operator()(const RemoveService& a) const { return erase(state.ipvs, a.key); }
  Result<> operator()(const AddDestination& a) const {
    VirtualService* have = service(a.service);
    if (have == nullptr) return fail_errno("fake kernel: add destination", ESRCH);
    return insert(have->destinations, a.key, a.destination);
  }
  Result<> operator()(const EditDestination& a) const {
    VirtualService* have = service(a.service);
    if (have == nullptr) return fail_errno("fake kernel: edit destination", ESRCH);
    return replace(have->destinations, a.key, a.to);
  }
  Result<> operator()(const RemoveDestination& a) const {
    VirtualService* have = service(a.service);
    if (have == nullptr) return fail_errno("fake kernel: remove destination", ESRCH);
    return erase(have->destinations, a.key);
  }
  Result<> operator()(const SetIpvsTimeouts& a) const {
    state.ipvs_node.timeouts = a.to.or_else(state.ipvs_node.timeouts);
    return {};
  }
  Result<> operator()(const StartSync& a) const {
    return insert(state.ipvs_node.daemons, a.role, a.daemon);
  }
  Result<> operator()(const StopSync& a) const { return erase(state.ipvs_node.daemons, a.role); }
  Result<> operator()(const AddTunnel& a) const {
    for (const auto& [name, device] : state.tunnels.devices)
      if (device.kind == a.device.kind && device.local == a.device.local &&
          device.remote == a.device.remote)
        return fail_errno("fake kernel: add tunnel", EEXIST);
    return insert(state.tunnels.devices, a.name, a.device);
  }
  Result<> operator()(const SetTunnel& a) const {
    return replace(state.tunnels.devices, a.name, a.to);
  }
  Result<> operator()(const RemoveTunnel& a) const { return erase(state.tunnels.devices, a.name); }
  Result<> operator()(const AddFou& a) const { return insert(state.tunnels.ports, a.key, a.port); }
  Result<> operator()(const RemoveFou& a) const { return erase(state.tunnels.ports, a.key); }
  Result<> operator()(const CreateForward& a) const {
    if (state.nft.forward && !a.replaces) return fail_errno("fake kernel: add table", EEXIST);
    state.nft.forward = a.forward;
    state.nft.intact = true;
    return {};
  }
  Result<> operator()(const RemoveForward&) const {
    if (!state.nft.forward) return fail_errno("fake kernel: remove table", ENOENT);
    state.nft.forward.reset();
    state.nft.intact = true;
    return {};
  }
  Result<> operator()(const SetSignal& a) const {
    if (!state.nft.forward) return fail_errno("fake kernel: set element", ENOENT);
    if (!a.from) return insert(state.nft.forward->addresses, a.signal, a.to);
    return replace(state.nft.forward->addresses, a.signal, a.to);
  }
  Result<> operator()(const RemoveSignal& a) const {
    if (!state.nft.forward) return fail_errno("fake kernel: remove element", ENOENT);
    return erase(state.nft.forward->addresses, a.signal);
  }
  Result<> operator()(const CreateMarks& a) const {
    if (state.nft.marks && !a.replaces) return fail_errno("fake kernel: add table", EEXIST);
    state.nft.marks.emplace();
    state.nft.marks_intact = true;
    return {};
  }
  Result<> operator()(const RemoveMarks&) const {
    if (!state.nft.marks) return fail_errno("fake kernel: remove table", ENOENT);
    state.nft.marks.reset();
    state.nft.marks_intact = true;
    return {};
  }
  Result<> operator()(const SetMark& a) const {
    if (!state.nft.marks) return fail_errno("fake kernel: set element", ENOENT);
    if (a.from) return replace(*state.nft.marks, a.key, a.to);
    for (const auto& [key, mark] : *state.nft.marks)
      if (key.overlaps(a.key)) return fail_errno("fake kernel: set element", EEXIST);
    return insert(*state.nft.marks, a.key, a.to);
  }
  Result<> operator()(const RemoveMark& a) const {
    if (!state.nft.marks) return fail_errno("fake kernel: remove element", ENOENT);
    return erase(*state.nft.marks, a.key);
  }
  Result<> operator()(const AddAddress& a) const {
    if (a.stands) return replace(state.addresses, a.key, a.settings);
    return insert(state.addresses, a.key, a.settings);
  }
  Result<> operator()(const RemoveAddress& a) const { return erase(state.addresses, a.key); }
  Result<> operator()(const AddEndpoint& a) const {
    if (state.mptcp.endpoints.size() >= max_mptcp_endpoints)
      return fail_errno("fake kernel: add endpoint", ERANGE);
    return insert(state.mptcp.endpoints, a.key, a.endpoint);
  }
  Result<> operator()(const RemoveEndpoint& a) const { return erase(state.mptcp.endpoints, a.key); }
  Result<> operator()(const SetEndpoint& a) const {
    return replace(state.mptcp.endpoints, a.key, a.to);
  }
  Result<> operator()(const SetMptcpLimits& a) const {
    state.mptcp.limits = a.to;
    return {};
  }
  Result<> operator()(const SetSteeredService& a) const {
    if (!a.from) return insert(state.xdp.services, a.key, a.to);
    return replace(state.xdp.services, a.key, a.to);
  }
  Result<> operator()(const RemoveSteeredService& a) const {
    return erase(state.xdp.services, a.key);
  }
  Result<> operator()(const SetSteerTarget& a) const {
    if (!a.from) return insert(state.xdp.servers, a.id, a.to);
    return replace(state.xdp.servers, a.id, a.to);
  }
  Result<> operator()(const RemoveSteerTarget& a) const { return erase(state.xdp.servers, a.id); }
  Result<> operator()(const AttachXdp& a) const {
    if (state.xdp.foreign.contains(a.device)) return fail_errno("fake kernel: attach", EBUSY);
    if (!a.from) return insert(state.xdp.attachments, a.device, a.to);
    return replace(state.xdp.attachments, a.device, a.to);
  }
  Result<> operator()(const DetachXdp& a) const { return erase(state.xdp.attachments, a.device); }
  Result<> operator()(const MptcpizeUnit& a) const {
    if (state.units.foreign.contains(a.unit)) return fail_errno("fake kernel: mptcpize", EEXIST);
    if (!a.from) return insert(state.units.mptcpized, a.unit, a.to);
    return replace(state.units.mptcpized, a.unit, a.to);
  }
  Result<> operator()(const RestoreUnit& a) const { return erase(state.units.mptcpized, a.unit); }
};

class FakeBackend : public kernel::Backend {
 public:
  FakeBackend(FakeKernel& kernel, Subsystem subsystem) : kernel_(kernel), subsystem_(subsystem) {}

  Subsystem subsystem() const override { return subsystem_; }

  Result<> observe(const Scope& scope, Observed& out) override {
    const NodeState& from = kernel_.state;
    NodeState& to = out.state;
    switch (subsystem_) {
      case Subsystem::sysctl:
        to.sysctls.clear();
        for (const auto& [path, value] : from.sysctls)
          if (scope.sysctls.contains(path)) to.sysctls.emplace(path, value);
        break;
      case Subsystem::ipvs:
        if (!scope.ipvs) break;
        to.ipvs = from.ipvs;
        if (scope.ipvs_node) to.ipvs_node = from.ipvs_node;
        out.ipvs_counters = kernel_.counters;
        break;
      case Subsystem::nft:
        if (scope.nft) to.nft = from.nft;
        break;
      case Subsystem::rtnl:
        if (scope.addresses) to.addresses = from.addresses;
        for (const auto& [address, count] : kernel_.sockets)
          if (scope.sockets.contains(address)) out.sockets.emplace(address, count);
        break;
      case Subsystem::mptcp:
        if (scope.mptcp) to.mptcp = from.mptcp;
        break;
      case Subsystem::xdp:
        if (scope.xdp) to.xdp = from.xdp;
        break;
      case Subsystem::tunnel:
        if (scope.tunnels) to.tunnels = from.tunnels;
        break;
      case Subsystem::unit:
        if (scope.units) to.units = from.units;
        break;
    }
    return {};
  }

  kernel::Outcome execute(std::span<const Operation> run) override {
    kernel::Outcome outcome;
    for (const Operation& operation : run) {
      if (subsystem_of(operation.action) != subsystem_) {
        outcome.error = Error(Errc::invalid, "fake kernel: an action of another subsystem");
        return outcome;
      }
      if (kernel_.fail_at == kernel_.executed) {
        kernel_.fail_at.reset();
        outcome.error = Error::from_errno(ENOMEM, "fake kernel: told to fail");
        return outcome;
      }
      if (auto done = kernel_.perform(operation.action); !done) {
        outcome.error = std::move(done.error());
        return outcome;
      }
      ++kernel_.executed;
      ++outcome.done;
    }
    return outcome;
  }

 private:
  FakeKernel& kernel_;
  Subsystem subsystem_;
};

}  // namespace

FakeKernel::FakeKernel() {
  using enum Subsystem;
  for (const Subsystem subsystem : {ipvs, sysctl, nft, rtnl, mptcp, xdp, tunnel, unit})
    backends_.push_back(std::make_unique<FakeBackend>(*this, subsystem));
}

std::vector<kernel::Backend*> FakeKernel::backends() {
  std::vector<kernel::Backend*> out;
  for (const auto& backend : backends_)
    out.push_back(backend.get());
  return out;
}

Result<> FakeKernel::perform(const Action& action) {
  if (about_to) about_to(action);
  count_cuts(action);
  return std::visit(Perform{state}, action);
}

void FakeKernel::count_cuts(const Action& action) {
  const auto gone = [&](const ServiceKey& service, const DestinationKey& key) {
    const auto it = counters.find({service, key});
    if (it == counters.end()) return;
    if (it->second.active_connections + it->second.inactive_connections != 0)
      cut.push_back({service, key});
    counters.erase(it);
  };
  if (const auto* one = std::get_if<RemoveDestination>(&action)) gone(one->service, one->key);
  if (const auto* all = std::get_if<RemoveService>(&action))
    if (const auto it = state.ipvs.find(all->key); it != state.ipvs.end())
      for (const auto& [key, destination] : it->second.destinations)
        gone(all->key, key);
  if (const auto* local = std::get_if<RemoveAddress>(&action)) {
    const IpAddress& address = local->key.address;
    const auto elsewhere = std::ranges::count_if(
        state.addresses, [&](const auto& entry) { return entry.first.address == address; });
    if (elsewhere == 1 && sockets.erase(address) != 0) cut_addresses.push_back(address);
  }
}

}  // namespace lbctl::fakes
