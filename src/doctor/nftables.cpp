// Other firewalls on the node, and conntrack.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using Kind = model::FilterRule::Kind;

/// Packets for IPVS and for local sockets come by there. An unknown hook may be any.
bool on_the_way(const model::FilterRule& rule) {
  return rule.hook.empty() || rule.hook == "ingress" || rule.hook == "prerouting" ||
         rule.hook == "input";
}

std::string delete_line(const model::FilterRule& rule) {
  return "nft delete rule " + rule.text();
}

/// Of direct routing and tunnels a director sees one half; of masquerade both.
void drops_invalid(const Patient& patient, const model::FilterRule& rule, Findings& out) {
  std::string names;
  for (const config::Service* service : services_here(patient))
    if (service->forward != model::Forward::masquerade && !service->notrack)
      names += (names.empty() ? "" : ", ") + service->name;
  if (this_director(patient) == nullptr || names.empty()) return;
  out.add(
      {.id = "drops-invalid",
       .severity = Severity::error,
       .evidence = {fmt::format("rule {} drops what conntrack calls invalid", rule.text())},
       .consequence = "a director sees one half of each connection, which conntrack takes for "
                      "broken: connections stall",
       .mend = fmt::format("write notrack = true in the file for {}, then lbctl apply; or delete "
                           "the rule",
                           names),
       .commands = {delete_line(rule)}});
}

void by_reverse_path(const Patient& patient, const model::FilterRule& rule, Findings& out) {
  out.add(
      {.id = "drops-reverse-path",
       .severity = Severity::doubt,
       .evidence = {fmt::format("rule {} drops by reverse path", rule.text())},
       .consequence = "what clients send is dropped where their route is not by the device that "
                      "it came in by",
       .mend = fmt::format("nothing, if the route to all clients is by {}; else delete the rule",
                           patient.desired.interface),
       .commands = {delete_line(rule)}});
}

/// A table stands as soon as somebody looked at it, with rules or without.
void legacy(const Patient& patient, Findings& out) {
  for (const auto& [family, tables] : patient.facts.machine.legacy_tables) {
    const std::string tool = family == model::Family::v4 ? "iptables-legacy" : "ip6tables-legacy";
    out.add(
        {.id = "legacy-rules",
         .severity = Severity::doubt,
         .evidence = {fmt::format("tables of {} stand here: {}", tool, fmt::join(tables, ", "))},
         .consequence = "rules in them work beside nftables and cannot be read by doctor: some "
                        "may drop what looks half (INVALID), or by reverse path (rpfilter)",
         .mend = "look through them, and take such rules out; without rules they do no harm, "
                 "and end with their modules (modprobe -r iptable_filter)",
         .commands = {tool + "-save"}});
  }
}

void table_full(const Patient& patient, Findings& out) {
  const std::string most = "net/netfilter/nf_conntrack_max";
  const auto count = sysctl_number(patient, "net/netfilter/nf_conntrack_count");
  const auto room = sysctl_number(patient, most);
  if (!count || !room || *room <= 0 || *count < *room * 8 / 10) return;
  out.add({.id = "conntrack-full",
           .severity = *count < *room * 95 / 100 ? Severity::warning : Severity::error,
           .evidence = {fmt::format("conntrack holds {} of {} entries", *count, *room)},
           .consequence = "when it is full, new connections of everybody are dropped",
           .mend = "give it twice the room; on a director notrack = true in the file keeps the "
                   "services out "
                   "of it",
           .fix = {set_sysctl(patient, most, fmt::to_string(*room * 2))}});
}

}  // namespace

void examine_nftables(const Patient& patient, Findings& out) {
  for (const model::FilterRule& rule : patient.facts.rules) {
    if (!on_the_way(rule)) continue;
    if (rule.kind == Kind::drops_invalid) drops_invalid(patient, rule, out);
    if (rule.kind == Kind::reverse_path) by_reverse_path(patient, rule, out);
  }
  legacy(patient, out);
  table_full(patient, out);
}

}  // namespace lbctl::doctor
