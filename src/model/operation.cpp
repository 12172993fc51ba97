#include "lbctl/model/operation.hpp"

namespace lbctl::model {

std::string_view name(Subsystem subsystem) {
  switch (subsystem) {
    case Subsystem::sysctl:
      return "sysctl";
    case Subsystem::ipvs:
      return "ipvs";
    case Subsystem::nft:
      return "nft";
    case Subsystem::rtnl:
      return "address";
    case Subsystem::mptcp:
      return "mptcp";
    case Subsystem::xdp:
      return "xdp";
    case Subsystem::tunnel:
      return "tunnel";
    case Subsystem::unit:
      return "unit";
  }
  return "unknown";
}

std::string_view name(Reason reason) {
  switch (reason) {
    case Reason::not_in_kernel:
      return "not_in_kernel";
    case Reason::differs:
      return "differs";
    case Reason::not_in_file:
      return "not_in_file";
    case Reason::going_down:
      return "going_down";
    case Reason::draining:
      return "draining";
    case Reason::drain_asked:
      return "drain_asked";
    case Reason::unhealthy:
      return "unhealthy";
    case Reason::deadline:
      return "deadline";
    case Reason::by_hand:
      return "by_hand";
    case Reason::reverting:
      return "reverting";
  }
  return "unknown";
}

namespace {
struct SubsystemOf {
  Subsystem operator()(const SetSysctl&) const { return Subsystem::sysctl; }
  Subsystem operator()(const AddService&) const { return Subsystem::ipvs; }
  Subsystem operator()(const EditService&) const { return Subsystem::ipvs; }
  Subsystem operator()(const RemoveService&) const { return Subsystem::ipvs; }
  Subsystem operator()(const AddDestination&) const { return Subsystem::ipvs; }
  Subsystem operator()(const EditDestination&) const { return Subsystem::ipvs; }
  Subsystem operator()(const RemoveDestination&) const { return Subsystem::ipvs; }
  Subsystem operator()(const SetIpvsTimeouts&) const { return Subsystem::ipvs; }
  Subsystem operator()(const StartSync&) const { return Subsystem::ipvs; }
  Subsystem operator()(const StopSync&) const { return Subsystem::ipvs; }
  Subsystem operator()(const AddTunnel&) const { return Subsystem::tunnel; }
  Subsystem operator()(const SetTunnel&) const { return Subsystem::tunnel; }
  Subsystem operator()(const RemoveTunnel&) const { return Subsystem::tunnel; }
  Subsystem operator()(const AddFou&) const { return Subsystem::tunnel; }
  Subsystem operator()(const RemoveFou&) const { return Subsystem::tunnel; }
  Subsystem operator()(const CreateForward&) const { return Subsystem::nft; }
  Subsystem operator()(const RemoveForward&) const { return Subsystem::nft; }
  Subsystem operator()(const SetSignal&) const { return Subsystem::nft; }
  Subsystem operator()(const RemoveSignal&) const { return Subsystem::nft; }
  Subsystem operator()(const CreateMarks&) const { return Subsystem::nft; }
  Subsystem operator()(const RemoveMarks&) const { return Subsystem::nft; }
  Subsystem operator()(const SetMark&) const { return Subsystem::nft; }
  Subsystem operator()(const RemoveMark&) const { return Subsystem::nft; }
  Subsystem operator()(const AddAddress&) const { return Subsystem::rtnl; }
  Subsystem operator()(const RemoveAddress&) const { return Subsystem::rtnl; }
  Subsystem operator()(const AddEndpoint&) const { return Subsystem::mptcp; }
  Subsystem operator()(const RemoveEndpoint&) const { return Subsystem::mptcp; }
  Subsystem operator()(const SetEndpoint&) const { return Subsystem::mptcp; }
  Subsystem operator()(const SetMptcpLimits&) const { return Subsystem::mptcp; }
  Subsystem operator()(const SetSteeredService&) const { return Subsystem::xdp; }
  Subsystem operator()(const RemoveSteeredService&) const { return Subsystem::xdp; }
  Subsystem operator()(const SetSteerTarget&) const { return Subsystem::xdp; }
  Subsystem operator()(const RemoveSteerTarget&) const { return Subsystem::xdp; }
  Subsystem operator()(const AttachXdp&) const { return Subsystem::xdp; }
  Subsystem operator()(const DetachXdp&) const { return Subsystem::xdp; }
  Subsystem operator()(const MptcpizeUnit&) const { return Subsystem::unit; }
  Subsystem operator()(const RestoreUnit&) const { return Subsystem::unit; }
};
}  // namespace

Subsystem subsystem_of(const Action& action) {
  return std::visit(SubsystemOf{}, action);
}

}  // namespace lbctl::model
