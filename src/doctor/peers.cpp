// Nodes that go by other files or other keys than this one.
#include <fmt/format.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using model::IpAddress;
using model::MetricsPlace;
using model::Peer;

bool is_any(const IpAddress& address) {
  return std::ranges::all_of(address.octets(), [](std::uint8_t octet) { return octet == 0; });
}

/// Every node has the same file. An address of all is open at each node's own; by IPv6's also at
/// those of IPv4.
std::vector<MetricsPlace> places_at(const std::vector<IpAddress>& own,
                                    const std::pair<IpAddress, model::Port>& served) {
  const auto& [address, port] = served;
  std::vector<MetricsPlace> out;
  for (const IpAddress& one : own)
    if (one == address || (is_any(address) && (one.is_v4() || !address.is_v4())))
      out.push_back({one, port});
  return out;
}

void other_keys(const Patient& patient, const std::string& name, const Peer& peer, Findings& out) {
  for (const auto& [place, check] : model::key_checks(patient.desired.state.xdp)) {
    const auto there = peer.key_checks.find(place);
    if (there == peer.key_checks.end() || there->second == check) continue;
    out.add({.id = "peer-key-differs",
             .severity = Severity::error,
             .evidence = {fmt::format("{}, scheme {}: {} has a key with check {} ({}), this node "
                                      "one with check {}",
                                      place.first, place.second + 1, name, there->second,
                                      peer.place.url(), check)},
             .consequence = "each reads connection IDs that the other issued as random: their QUIC "
                            "packets go to wrong servers",
             .mend = fmt::format("bring the right key_file of the services to both; then systemctl "
                                 "reload lbctl on {}, and lbctl apply here",
                                 name)});
  }
}

}  // namespace

std::map<std::string, std::vector<MetricsPlace>> peer_places(const config::Config& config,
                                                             const std::string& node) {
  std::map<std::string, std::vector<MetricsPlace>> out;
  const auto& served = config.daemon.metrics;
  const auto add = [&](const std::string& name, const std::vector<IpAddress>& own) {
    if (auto places = places_at(own, *served); name != node && !places.empty())
      out[name] = std::move(places);
  };
  if (!served) return out;
  for (const auto& [name, director] : config.directors)
    add(name, director.addresses);
  for (const auto& [name, server] : config.servers)
    add(name, server.addresses);
  return out;
}

void examine_peers(const Patient& patient, Findings& out) {
  for (const auto& [name, peer] : patient.facts.peers) {
    // Then its keys may well be others, too.
    if (peer.config_hash == patient.facts.config_hash) {
      other_keys(patient, name, peer, out);
      continue;
    }
    out.add({.id = "peer-differs",
             .severity = Severity::warning,
             .evidence = {fmt::format("the daemon of {} runs by a file with hash {} ({}), this one "
                                      "has {}",
                                      name, peer.config_hash, peer.place.url(),
                                      patient.facts.config_hash)},
             .consequence = "the nodes are set up by different files: their services, signal "
                            "addresses or steering may not fit together",
             .mend = fmt::format("bring the right file, and conf.d/*.toml beside it, to both; then "
                                 "systemctl reload lbctl on {}, and lbctl apply here",
                                 name)});
  }
}

}  // namespace lbctl::doctor
