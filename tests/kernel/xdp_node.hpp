// A real server with one veth device, and the small cluster that it belongs to.
#pragma once

#include <bpf/bpf.h>
#include <doctest/doctest.h>
#include <net/if.h>

#include <memory>
#include <string>
#include <vector>

#include "xdp_wire.hpp"

namespace lbctl::tests {

using model::Action;
using model::AttachXdp;
using model::CidScheme;
using model::DetachXdp;
using model::IpAddress;
using model::MacAddress;
using model::Port;
using model::RemoveSteeredService;
using model::RemoveSteerTarget;
using model::ServerId;
using model::SetSteeredService;
using model::SetSteerTarget;
using model::SteeredKey;
using model::SteeredService;
using model::SteerTarget;
using model::XdpAttachment;
using model::XdpMode;
using model::XdpState;

inline const SteeredKey web4{ip("192.0.2.100"), Port{443}};
inline const SteeredKey web6{ip("2001:db8:100::100"), Port{443}};
inline const XdpAttachment wanted{.mode = XdpMode::automatic, .program = kernel::program_digest()};
inline const SteerTarget local{.local = true, .mac = {}};
inline const SteerTarget rs2{.local = false, .mac = mac("02:00:00:00:00:02")};

/// What a small cluster's real server is given.
inline std::vector<Action> set_up() {
  return {SetSteeredService{web4, {}, {{CidScheme{}}}},
          SetSteeredService{web6, {}, {{CidScheme{}}}}, SetSteerTarget{ServerId{1}, {}, local},
          SetSteerTarget{ServerId{2}, {}, rs2}, AttachXdp{"eth0", {}, wanted}};
}

inline std::vector<Action> take_down() {
  return {DetachXdp{"eth0"}, RemoveSteeredService{web4}, RemoveSteeredService{web6},
          RemoveSteerTarget{ServerId{1}}, RemoveSteerTarget{ServerId{2}}};
}

inline XdpState as_set_up() {
  XdpState state;
  state.attachments["eth0"] = {.mode = XdpMode::generic, .program = kernel::program_digest()};
  state.services = {{web4, {{CidScheme{}}}}, {web6, {{CidScheme{}}}}};
  state.servers = {{ServerId{1}, local}, {ServerId{2}, rs2}};
  return state;
}

struct Node : Wire {
  Node() : inside(server) {}
  Inside inside;
  std::string pins = fresh_pin_dir();
  std::unique_ptr<kernel::Backend> backend = kernel::open_xdp({pins});
};

inline std::uint32_t link_id(const std::string& pins) {
  const Fd link(bpf_obj_get((pins + "/link-" + std::to_string(if_nametoindex("eth0"))).c_str()));
  bpf_link_info info{};
  __u32 length = sizeof info;
  REQUIRE(bpf_obj_get_info_by_fd(link.get(), &info, &length) == 0);
  return info.id;
}

}  // namespace lbctl::tests
