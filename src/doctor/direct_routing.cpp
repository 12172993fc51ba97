// Direct routing: who answers for the VIP, and whether packets get through.
#include <fmt/format.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using model::IpAddress;

bool direct(const config::Service& service) {
  return service.forward == model::Forward::route;
}

/// The devices that client traffic comes in by.
std::vector<std::string> arrival_devices(const Patient& patient) {
  const config::Director* director = this_director(patient);
  return director != nullptr ? director->client_interfaces
                             : std::vector<std::string>{patient.desired.interface};
}

const char* answered_by(const IpAddress& address) {
  return address.is_v4() ? "ARP" : "neighbour solicitations";
}

/// A VIP of a real server on a device that others ask.
void answering_device(const Patient& patient, Findings& out) {
  const auto vips = all_vips(patient.config);
  for (const auto* state : {&patient.ours, &patient.foreign})
    for (const auto& [key, settings] : state->addresses) {
      if (!vips.contains(key.address) || key.device == "lo") continue;
      const auto link = patient.facts.node.links.find(key.device);
      if (link != patient.facts.node.links.end() && link->second.kind == "dummy") continue;
      out.add(
          {.id = "vip-answers",
           .severity = Severity::error,
           .evidence = {fmt::format("the VIP stands as {}", key.text())},
           .consequence = fmt::format("this server answers {} for it, so that clients come here "
                                      "past the directors",
                                      answered_by(key.address)),
           .mend = "take it away there; lbctl apply puts it on lo",
           .commands = {fmt::format("ip address delete {}/{} dev {}", key.address.text(),
                                    key.prefix, key.device),
                        "lbctl apply"}});
    }
}

/// Where apply has nothing to do with it: the VIP stands, though the file does not want it here.
void arp(const Patient& patient, Findings& out) {
  const std::string path = "net/ipv4/conf/all/arp_ignore";
  if (patient.desired.state.sysctls.contains(path)) return;
  const auto vips = all_vips(patient.config);
  const auto value = effective(patient, patient.desired.interface, "arp_ignore");
  if (!value || *value != 0) return;
  for (const auto* state : {&patient.ours, &patient.foreign})
    for (const auto& [key, settings] : state->addresses)
      if (key.address.is_v4() && vips.contains(key.address))
        out.add(
            {.id = "arp-ignore",
             .severity = Severity::error,
             .evidence = {fmt::format("{}, and {} stands here", sysctl_text(patient, path),
                                      key.text())},
             .consequence = "this server answers ARP for the VIP: clients come here past the "
                            "directors",
             .mend = "take the address away, as no service of the file uses this server with it",
             .commands = {fmt::format("ip address delete {}/{} dev {}", key.address.text(),
                                      key.prefix, key.device)}});
}

void reverse_path(const Patient& patient, Findings& out) {
  const bool v4 = std::ranges::any_of(services_here(patient), [](const auto* service) {
    return service->has_vip_of(model::Family::v4) && service->vip_on_servers();
  });
  const auto route = patient.facts.next_hops.find(far_client(model::Family::v4));
  if (!v4) return;
  for (const std::string& device : arrival_devices(patient)) {
    if (effective(patient, device, "rp_filter") != 1) continue;
    const bool routed = route != patient.facts.next_hops.end();
    if (routed && route->second.device == device) continue;
    out.add({.id = "rp-filter",
             .severity = Severity::warning,
             .evidence = {fmt::format("rp_filter is 1 (strict) on {}, and {}", device,
                                      routed ? "the route to clients is by " + route->second.device
                                             : "there is no route to clients")},
             .consequence =
                 "what clients send is dropped without a word, where their route is not by "
                 "the device that it came in by (nstat: TcpExtIPReversePathFilter)",
             .mend = "set it to 2 (loose)",
             .fix = {set_sysctl(patient, "net/ipv4/conf/" + device + "/rp_filter", "2")}});
  }
}

/// Whose Ethernet address it is, as far as the file and the neighbours tell.
std::string owner_of(const Patient& patient, const model::MacAddress& mac) {
  const auto& known = patient.facts.node.neighbours;
  const auto has = [&](const std::vector<IpAddress>& addresses) {
    return std::ranges::any_of(addresses, [&](const IpAddress& address) {
      const auto found = known.find(address);
      return found != known.end() && found->second == mac;
    });
  };
  for (const auto& [name, director] : patient.config.directors)
    if (has(director.addresses)) return name;
  for (const auto& [name, server] : patient.config.servers)
    if (has(server.addresses)) return name;
  return "";
}

void other_hosts(const Patient& patient, Findings& out) {
  for (const auto& [vip, macs] : patient.facts.holders)
    for (const model::MacAddress& mac : macs) {
      const std::string who = owner_of(patient, mac);
      // Another director has its turn: then this one is the standby.
      if (patient.config.directors.contains(who)) continue;
      const bool server = patient.config.servers.contains(who);
      Finding finding{
          .id = "arp-other-host",
          .severity = Severity::error,
          .evidence = {fmt::format("{} answers {} for {}",
                                   server ? fmt::format("{} ({})", who, mac.text()) : mac.text(),
                                   answered_by(vip), vip.text())},
          .consequence = "clients whose router believes it go there past the directors"};
      if (!vip.is_v4()) finding.id = "ndp-other-host";
      finding.mend = server ? fmt::format("on {}: lbctl apply, or lbctl doctor there", who)
                            : "find that host and take the address from it";
      out.add(std::move(finding));
    }
}

/// What arrives must fit through towards the servers.
void mtu(const Patient& patient, Findings& out) {
  const config::Director* director = this_director(patient);
  const auto& links = patient.facts.node.links;
  const auto inner = links.find(patient.desired.interface);
  if (director == nullptr || inner == links.end() || inner->second.mtu == 0) return;
  for (const std::string& device : director->client_interfaces) {
    const auto link = links.find(device);
    if (link == links.end() || link->second.mtu <= inner->second.mtu) continue;
    out.add({.id = "mtu-smaller",
             .severity = Severity::warning,
             .evidence = {fmt::format("MTU {} on {}, where clients come in, {} on {}, towards the "
                                      "servers",
                                      link->second.mtu, device, inner->second.mtu,
                                      patient.desired.interface)},
             .consequence = "large packets do not get through; signal addresses have no path MTU "
                            "discovery at ingress",
             .mend = "give both devices one MTU",
             .commands = {fmt::format("ip link set dev {} mtu {}", patient.desired.interface,
                                      link->second.mtu)}});
  }
}

/// To servers: what they send clients goes by another device than what clients send them.
void mtu_of_server(const Patient& patient, Findings& out) {
  const auto& links = patient.facts.node.links;
  const auto route = patient.facts.next_hops.find(far_client(model::Family::v4));
  if (this_server(patient) == nullptr || route == patient.facts.next_hops.end()) return;
  const auto arrival = links.find(patient.desired.interface);
  const auto leave = links.find(route->second.device);
  if (arrival == links.end() || leave == links.end() || arrival->second.mtu == 0) return;
  if (leave->second.mtu <= arrival->second.mtu) return;
  out.add(
      {.id = "mtu-smaller",
       .severity = Severity::warning,
       .evidence = {fmt::format("MTU {} on {}, by which clients are answered, {} on {}, where "
                                "their packets come in",
                                leave->second.mtu, leave->first, arrival->second.mtu,
                                arrival->first)},
       .consequence = "clients are told a segment size that does not come in there",
       .mend = "give both devices one MTU",
       .commands = {fmt::format("ip link set dev {} mtu {}", leave->first, arrival->second.mtu)}});
}

void mtu_of_peers(const Patient& patient, Findings& out) {
  const auto link = patient.facts.node.links.find(patient.desired.interface);
  if (link == patient.facts.node.links.end()) return;
  const auto near = near_servers(patient.config, patient.desired);
  for (const IpAddress& address : patient.facts.narrow) {
    const auto found = near.find(address);
    if (found == near.end()) continue;
    const config::Server& server = patient.config.servers.at(found->second);
    out.add({.id = "mtu-peer",
             .severity = Severity::warning,
             .evidence = {fmt::format("{} ({}) answers a short ping and none of {} octets, the MTU "
                                      "of {}",
                                      server.name, address.text(), link->second.mtu, link->first)},
             .consequence = "large packets for that server are lost without a word: neither signal "
                            "addresses nor steering have path MTU discovery on the segment",
             .mend = fmt::format("on {}: ip link set dev {} mtu {}; if it has that, the switch "
                                 "between needs it",
                                 server.name, server.interface, link->second.mtu)});
  }
}

void links(const Patient& patient, Findings& out) {
  auto devices = arrival_devices(patient);
  devices.push_back(patient.desired.interface);
  for (const std::string& device : devices) {
    const auto link = patient.facts.node.links.find(device);
    const bool there = link != patient.facts.node.links.end();
    if (there && link->second.up) continue;
    Finding finding{.id = "interface-down",
                    .severity = Severity::error,
                    .evidence = {there ? fmt::format("{} is down", device)
                                       : fmt::format("there is no device {}", device)},
                    .consequence = "nothing comes in or leaves by it",
                    .mend = there ? "set it up" : "correct the interface in the file"};
    if (there) finding.commands = {fmt::format("ip link set dev {} up", device)};
    out.add(std::move(finding));
  }
}

}  // namespace

std::map<IpAddress, std::string> near_servers(const config::Config& config,
                                              const config::Desired& desired) {
  std::set<std::string> names;
  const bool director = config.directors.contains(desired.node);
  for (const auto& [service_name, service] : config.services)
    for (const auto& [name, use] : service.servers)
      if (director ? service.forward == model::Forward::route
                   : service.has(config::Protocol::quic) && service.involves(desired.node) &&
                         config.servers.at(name).steer == config::Steer::l2)
        names.insert(name);
  names.erase(desired.node);
  std::map<IpAddress, std::string> out;
  for (const std::string& name : names)
    out.emplace(config.servers.at(name).addresses.front(), name);
  return out;
}

void examine_direct_routing(const Patient& patient, Findings& out) {
  links(patient, out);
  reverse_path(patient, out);
  mtu(patient, out);
  mtu_of_server(patient, out);
  mtu_of_peers(patient, out);
  if (this_server(patient) != nullptr && !unread(patient, "addresses-unread")) {
    answering_device(patient, out);
    if (any_service(patient.config, direct)) arp(patient, out);
  }
  if (this_director(patient) != nullptr) other_hosts(patient, out);
}

}  // namespace lbctl::doctor
