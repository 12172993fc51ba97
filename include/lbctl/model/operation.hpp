// One change to the kernel: what, from what to what, when, and why. A plan is a list of these, and
// executing is the only way in which lbctl writes to the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lbctl/model/node_state.hpp"

namespace lbctl::model {

struct SetSysctl {
  std::string path;
  std::string from, to;
};

struct AddService {
  ServiceKey key;
  VirtualService service;  ///< settings only: its destinations are added one by one
};
struct EditService {
  ServiceKey key;
  VirtualService from, to;  ///< settings only
};
struct RemoveService {
  ServiceKey key;
};
struct AddDestination {
  ServiceKey service;
  DestinationKey key;
  Destination destination;
};
struct EditDestination {
  ServiceKey service;
  DestinationKey key;
  Destination from, to;
};
struct RemoveDestination {
  ServiceKey service;
  DestinationKey key;
};

/// Fields that are 0 stay as they are.
struct SetIpvsTimeouts {
  IpvsTimeouts from, to;
};
struct StartSync {
  SyncRole role{};
  SyncDaemon daemon;
};
struct StopSync {
  SyncRole role{};
  SyncDaemon daemon;  ///< as it runs
};

struct CreateForward {
  SignalForward forward;  ///< a plan adds its addresses after it, by SetSignal in the same run
  bool replaces = false;  ///< what stands goes in the same transaction
};
struct RemoveForward {};
struct SetSignal {
  EndpointKey signal;
  std::optional<ForwardTarget> from;  ///< nothing: added
  ForwardTarget to;
};
struct RemoveSignal {
  EndpointKey signal;
  ForwardTarget from;
};

struct CreateMarks {
  MarkChains chains;
  bool replaces = false;  ///< what stands goes in the same transaction
};
struct RemoveMarks {};
struct SetMark {
  MarkKey key;
  std::optional<Mark> from;  ///< nothing: added
  Mark to;
};
struct RemoveMark {
  MarkKey key;
  Mark from;
};

struct AddAddress {
  AddressKey key;
  AddressSettings settings;
  bool stands = false;  ///< it is there already, and only gets lbctl's mark
};
struct RemoveAddress {
  AddressKey key;
};

struct AddTunnel {
  std::string name;
  TunnelDevice device;
};
/// Up and rp_filter of a device that stands.
struct SetTunnel {
  std::string name;
  TunnelDevice from, to;
};
struct RemoveTunnel {
  std::string name;
  TunnelDevice device;
};
struct AddFou {
  FouKey key;
  FouPort port;
};
struct RemoveFou {
  FouKey key;
  FouPort port;
};

struct AddEndpoint {
  EndpointKey key;
  Endpoint endpoint;
};
struct RemoveEndpoint {
  EndpointKey key;
  Endpoint endpoint;  ///< with the id that the kernel gave it
};
/// The backup flag of one that stands.
struct SetEndpoint {
  EndpointKey key;
  Endpoint from, to;  ///< `from` with the id that the kernel gave it
};
struct SetMptcpLimits {
  MptcpLimits from, to;
};

/// Written, or written anew.
struct MptcpizeUnit {
  std::string unit;
  std::optional<MptcpizedUnit> from;  ///< nothing: added
  MptcpizedUnit to;
};
struct RestoreUnit {
  std::string unit;
  MptcpizedUnit from;
};

struct SetSteeredService {
  SteeredKey key;
  std::optional<SteeredService> from;  ///< nothing: added
  SteeredService to;
};
struct RemoveSteeredService {
  SteeredKey key;
};
struct SetSteerTarget {
  ServerId id{};
  std::optional<SteerTarget> from;  ///< nothing: added
  SteerTarget to;
};
struct RemoveSteerTarget {
  ServerId id{};
};
struct AttachXdp {
  std::string device;
  std::optional<XdpAttachment>
      from;  ///< nothing: attached anew, else the program is replaced in place
  XdpAttachment to;
};
struct DetachXdp {
  std::string device;
};

using Action =
    std::variant<SetSysctl, AddService, EditService, RemoveService, AddDestination, EditDestination,
                 RemoveDestination, SetIpvsTimeouts, StartSync, StopSync, AddTunnel, SetTunnel,
                 RemoveTunnel, AddFou, RemoveFou, CreateForward, RemoveForward, SetSignal,
                 RemoveSignal, CreateMarks, RemoveMarks, SetMark, RemoveMark, AddAddress,
                 RemoveAddress, AddEndpoint, RemoveEndpoint, SetEndpoint, SetMptcpLimits,
                 SetSteeredService, RemoveSteeredService, SetSteerTarget, RemoveSteerTarget,
                 AttachXdp, DetachXdp, MptcpizeUnit, RestoreUnit>;

enum class Subsystem : std::uint8_t { sysctl, ipvs, nft, rtnl, mptcp, xdp, tunnel, unit };
std::string_view name(Subsystem subsystem);
Subsystem subsystem_of(const Action& action);

/// The order of a plan. First everything that must stand before traffic may come (a VIP is added
/// last on a director; on a real server the ARP sysctls come before the VIP), then removals in the
/// opposite order, so that add always comes before remove. Between them weights go to 0: by then
/// the others of the service stand. Firewall marks are taken away before that: what had one goes to
/// the service that took over, not to servers that no longer take anything.
enum class Phase : std::uint8_t {
  stop_sync,  ///< daemons that start again with other settings; some sysctls count only then
  set_sysctl,
  mptcpize_unit,
  add_ipvs,
  add_nft,
  fill_steering,
  add_tunnel,
  add_address,
  add_endpoint,
  attach_xdp,
  unmark,
  drain_ipvs,
  detach_xdp,
  remove_endpoint,
  remove_address,
  remove_tunnel,
  empty_steering,
  remove_nft,
  remove_ipvs,
  restore_unit,
  restore_sysctl,
};

enum class Reason : std::uint8_t {
  not_in_kernel,  ///< the file wants it, the kernel lacks it
  differs,        ///< both have it, with other settings
  not_in_file,    ///< lbctl made it, the file no longer wants it
  going_down,     ///< `lbctl down`
  draining,       ///< needed as long as destinations of the service have weight 0
  drain_asked,    ///< `lbctl drain`
  unhealthy,      ///< its health checks fail
  deadline,       ///< it was drained, and the time for that is over
  by_hand,        ///< `lbctl mptcpize --undo`
  reverting,      ///< back to what was before an apply that failed or was not confirmed
};
std::string_view name(Reason reason);  ///< snake_case, as in JSON

struct Operation {
  Phase phase{};
  Action action;
  Reason why{};
  /// Live connections that it concerns, as counted in the kernel: a weight that goes to 0 drains
  /// them, a removal cuts them off.
  std::uint64_t connections = 0;
};

}  // namespace lbctl::model
