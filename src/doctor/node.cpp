// The machine: what it is taken for, what its kernel has, what this process may.
#include <fmt/format.h>
#include <linux/capability.h>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

void host_name(const Patient& patient, Findings& out) {
  const std::string& taken_for = patient.facts.recognised;
  if (taken_for == patient.desired.node) return;
  out.add(
      {.id = "node-name",
       .severity = Severity::warning,
       .evidence = {fmt::format("host name {}, asked about {}", patient.facts.node.host_name,
                                patient.desired.node)},
       .consequence =
           taken_for.empty()
               ? "without --node lbctl does not know which node this is: nothing is "
                 "set up at boot"
               : fmt::format("without --node, as at boot, lbctl takes this node for {}", taken_for),
       .mend = fmt::format("if this is {}, give it that host name, or one of its addresses",
                           patient.desired.node),
       .commands = {"hostnamectl set-hostname " + patient.desired.node}});
}

void could_not_look(const Patient& patient, Findings& out) {
  for (const Unread& one : patient.facts.unread) {
    const bool lacks = one.error.code() == Errc::unsupported;
    out.add({.id = one.id,
             .severity = Severity::error,
             .evidence = {one.error.text()},
             .consequence = lacks
                                ? fmt::format("this kernel has no {}: lbctl apply fails", one.what)
                                : fmt::format("nothing can be said of {}", one.what),
             .mend = one.error.hint().empty() ? "see the message" : one.error.hint()});
  }
}

void capabilities(const Patient& patient, Findings& out) {
  struct Need {
    int bit;
    const char *name, *why;
    bool steering;
  };
  static constexpr Need all[] = {
      {CAP_NET_ADMIN, "CAP_NET_ADMIN", "every change", false},
      {CAP_NET_RAW, "CAP_NET_RAW", "announcing VIPs, asking who answers for them", false},
      {CAP_BPF, "CAP_BPF", "steering", true},
      {CAP_PERFMON, "CAP_PERFMON", "steering", true},
  };
  const bool steers = !patient.desired.state.xdp.attachments.empty();
  for (const Need& one : all) {
    if (one.steering && !steers) continue;
    if ((patient.facts.machine.capabilities >> one.bit & 1) != 0) continue;
    out.add({.id = "capability-missing",
             .severity = Severity::error,
             .evidence = {fmt::format("{} is missing: {}", one.name, one.why)},
             .consequence = "lbctl apply fails, and this examination has not seen everything",
             .mend = "run it as root, or give the unit that capability"});
  }
}

void kernel_features(const Patient& patient, Findings& out) {
  const auto lacks = [&](const char* path) {
    return patient.desired.state.sysctls.contains(path) && !patient.facts.sysctls.contains(path);
  };
  struct Need {
    const char *path, *what, *since;
  };
  static constexpr Need all[] = {
      {"net/mptcp/enabled", "Multipath TCP (CONFIG_MPTCP)", "5.6"},
      {"net/mptcp/allow_join_initial_addr_port", "net.mptcp.allow_join_initial_addr_port", "5.14"},
  };
  for (const Need& one : all)
    if (lacks(one.path))
      out.add(
          {.id = "kernel-feature",
           .severity = Severity::error,
           .evidence = {fmt::format("Linux {} has no {}", patient.facts.machine.release, one.what)},
           .consequence = "connections have one path only, or joins go to the wrong server",
           .mend = fmt::format("boot Linux {} or newer with it; lbctl needs 6.1", one.since)});
}

void clock(const Patient& patient, Findings& out) {
  if (patient.facts.machine.clock_in_sync.value_or(true)) return;
  out.add({.id = "clock",
           .severity = Severity::doubt,
           .evidence = {"the kernel's clock is not synchronised (adjtimex)"},
           .consequence = "deadlines of drains, certificates and the times of events in several "
                          "nodes' logs may be wrong; a virtual machine may keep time otherwise",
           .mend = "run a time service",
           .commands = {"timedatectl set-ntp true"}});
}

}  // namespace

void examine_node(const Patient& patient, Findings& out) {
  host_name(patient, out);
  could_not_look(patient, out);
  capabilities(patient, out);
  kernel_features(patient, out);
  clock(patient, out);
}

}  // namespace lbctl::doctor
