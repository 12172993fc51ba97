// Files that are legal and yet hardly what is wanted: warnings. Each is a trap that somebody fell
// into; what can't be told from the file alone is left to `lbctl doctor`.
#include <fmt/format.h>

#include <algorithm>

#include "draft.hpp"

namespace lbctl::config {
namespace {

using model::Family;

/// Whoever meets another director must meet the same server: only hashing promises that. QUIC
/// packets find their server by connection ID, whatever a director chose.
void doubt_scheduler(const DraftService& service, std::size_t directors, Report& report) {
  const std::string& scheduler = service.scheduler.value;
  const bool only_quic = std::ranges::all_of(
      service.protocols.items, [](const auto& item) { return item.value == Protocol::quic; });
  if (directors < 2 || scheduler == "mh" || scheduler == "sh" || only_quic) return;
  if (!model::find_scheduler(scheduler)) return;  // reported
  report.warning(
      service.scheduler.at,
      fmt::format("scheduler {} with {} directors: connections that move to another director meet "
                  "another server, and break",
                  scheduler, directors),
      "scheduler = \"mh\" with scheduler_flags = [\"mh-port\", \"mh-fallback\"] chooses the same "
      "server on every director; or add [ipvs.sync]");
}

/// Clients choose 8 octets or more for their first packet, most of them 8.
void doubt_cid_length(const DraftService& service, Report& report) {
  constexpr std::uint8_t of_clients = 8;
  for (const auto& cid : service.cids.items) {
    const model::CidScheme& scheme = cid.value.scheme;
    const bool quic_lb = scheme.format == model::CidFormat::quic_lb;
    const bool may_choose = quic_lb || scheme.format == model::CidFormat::raw;
    if (!may_choose || scheme.cid_length() > of_clients) continue;
    report.warning(
        cid.at,
        fmt::format(
            "connection IDs of {} octets: the random ones in clients' first packets, mostly 8 "
            "long, are taken for the servers' own",
            scheme.cid_length()),
        fmt::format("with {} above 8 they are told apart",
                    quic_lb ? "1 + id_length + nonce_length" : "a length"));
  }
}

/// Routed in no public network.
bool is_private(const model::IpAddress& address) {
  const auto octets = address.octets();
  if (!address.is_v4()) return (octets[0] & 0xfe) == 0xfc;
  return octets[0] == 10 || (octets[0] == 172 && (octets[1] & 0xf0) == 16) ||
         (octets[0] == 192 && octets[1] == 168) || (octets[0] == 100 && (octets[1] & 0xc0) == 64);
}

/// IPVS drops a TCP packet of a connection that it does not know, unless that is a SYN.
void doubt_sloppiness(const DraftService& service, const Draft& draft, Report& report) {
  if (!service.has(Protocol::mptcp) || service.via.value != Via::ipvs) return;
  const auto found = draft.ipvs.sysctls.find("net/ipv4/vs/sloppy_tcp");
  if (found == draft.ipvs.sysctls.end() || found->second.value != "0") return;
  report.warning(
      found->second.at,
      fmt::format(
          "sloppy_tcp = 0, but service {} has via = \"ipvs\": extra subflows do not survive "
          "a change of the director",
          service.name),
      "leave it out: lbctl sets 1");
}

/// The file knows no prefixes, so whether an address lies in a network of the nodes can't be told;
/// but who reaches a public VIP need not reach a private signal address.
void doubt_signals(const DraftService& service, const Draft& draft, Report& report) {
  if (!service.has(Protocol::mptcp)) return;
  const auto servers = draft.servers_by_name();
  for (const Family family : {Family::v4, Family::v6}) {
    const auto vip = std::ranges::find_if(service.vips.items, [&](const auto& item) {
      return item.value.family() == family && !is_private(item.value);
    });
    if (vip == service.vips.items.end()) continue;
    for (const auto& use : service.servers.items) {
      for (const auto& signal : servers.at(use.value.name)->signal.items) {
        if (signal.value.family() != family || !is_private(signal.value)) continue;
        report.warning(signal.at,
                       fmt::format("signal address {} is private, but VIP {} of service {} is "
                                   "public: its clients do not reach it, and their joins fail",
                                   signal.value.text(), vip->value.text(), service.name),
                       "signal addresses must be reachable wherever the VIP is");
      }
    }
  }
}

}  // namespace

void check_doubts(const Draft& draft, Report& report) {
  for (const DraftService& service : draft.services) {
    // Directors that tell each other of their connections need no hashing.
    if (!draft.ipvs.sync) doubt_scheduler(service, draft.directors.size(), report);
    doubt_cid_length(service, report);
    doubt_signals(service, draft, report);
    doubt_sloppiness(service, draft, report);
  }
}

}  // namespace lbctl::config
