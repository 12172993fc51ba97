// QUIC steering on a real server.
#include <fmt/format.h>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

// A page without XDP's headroom and the skb_shared_info behind: what one buffer takes.
constexpr std::uint32_t native_mtu = 3498;

const model::LinkFacts* link_of(const Patient& patient, const std::string& device) {
  const auto found = patient.facts.node.links.find(device);
  return found == patient.facts.node.links.end() ? nullptr : &found->second;
}

void taken(const Patient& patient, const std::string& device, Findings& out) {
  const auto found = patient.foreign.xdp.foreign.find(device);
  if (found == patient.foreign.xdp.foreign.end()) return;
  out.add(
      {.id = "xdp-taken",
       .severity = Severity::error,
       .evidence = {fmt::format("XDP program \"{}\" on {} is not lbctl's", found->second, device)},
       .consequence = "QUIC packets of clients whose address changed are not steered, and lbctl "
                      "apply refuses",
       .mend = "detach it (whichever of these lines fits its mode), then lbctl apply",
       .commands = {fmt::format("ip link set dev {} xdpgeneric off", device),
                    fmt::format("ip link set dev {} xdpdrv off", device), "lbctl apply"}});
}

void mode(const Patient& patient, const std::string& device, const model::XdpAttachment& wanted,
          Findings& out) {
  const model::LinkFacts* link = link_of(patient, device);
  if (link == nullptr) return;
  const auto now = patient.ours.xdp.attachments.find(device);
  const bool attached = now != patient.ours.xdp.attachments.end();
  const bool native = wanted.mode == model::XdpMode::native ||
                      (attached && now->second.mode == model::XdpMode::native);
  if (link->kind == "veth" && native)
    out.add({.id = "xdp-native-veth",
             .severity = Severity::warning,
             .evidence = {fmt::format("{} is a veth, with the program in native mode", device)},
             .consequence =
                 "steered packets are lost unless the peer runs an XDP program, too, and "
                 "nobody before it leaves checksums to hardware; they still count as sent",
             .mend = "write xdp_mode = \"generic\" for this server in the file, then lbctl apply"});
  if (attached && now->second.mode == model::XdpMode::generic &&
      wanted.mode == model::XdpMode::automatic && link->kind.empty())
    out.add(
        {.id = "xdp-generic",
         .severity = Severity::doubt,
         .evidence = {fmt::format("the program runs in generic mode on {}, MTU {}", device,
                                  link->mtu)},
         .consequence = "steering costs more for each packet than it would in native mode",
         .mend = fmt::format("if the driver has native mode: MTU {} at most, LRO off (ethtool -K "
                             "{} lro off), then lbctl apply",
                             native_mtu, device)});
  if (wanted.mode == model::XdpMode::native && !attached && link->mtu > native_mtu)
    out.add({.id = "xdp-mtu",
             .severity = Severity::error,
             .evidence = {fmt::format("{} has MTU {}, and the file wants native mode", device,
                                      link->mtu)},
             .consequence = "most drivers refuse the program: nothing is steered",
             .mend = fmt::format("lower the MTU to {} or less, or write xdp_mode = \"generic\"",
                                 native_mtu),
             .commands = {fmt::format("ip link set dev {} mtu {}", device, native_mtu)}});
}

void unresolved(const Patient& patient, Findings& out) {
  for (const auto& [id, target] : patient.desired.state.xdp.servers) {
    if (target.local || !target.mac.is_zero()) continue;
    std::string who = "server id " + id.text();
    for (const auto& [name, server] : patient.config.servers)
      if (server.id == id) who = name;
    out.add({.id = "steering-unresolved",
             .severity = Severity::warning,
             .evidence = {fmt::format("the Ethernet address of {} is not known on {}", who,
                                      patient.desired.interface)},
             .consequence = "QUIC packets that belong to it stay here and are lost",
             .mend = "see why it does not answer (ip neighbour show); lbctl apply or lbctl daemon "
                     "then takes its address up"});
  }
}

}  // namespace

void examine_xdp(const Patient& patient, Findings& out) {
  if (unread(patient, "steering-unread")) return;
  for (const auto& [device, wanted] : patient.desired.state.xdp.attachments) {
    taken(patient, device, out);
    mode(patient, device, wanted, out);
  }
  unresolved(patient, out);
}

}  // namespace lbctl::doctor
