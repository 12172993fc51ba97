// What apply would do is what is wrong: each kind of operation with its consequence.
#include <fmt/format.h>

#include "lbctl/plan/render.hpp"
#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using namespace model;

struct Trouble {
  const char* id;
  Severity severity;
  const char* consequence;
};

constexpr Trouble left_over{"left-over", Severity::warning,
                            "it is not in the file any more and still works"};
constexpr Trouble tunnel{"tunnel-missing", Severity::error,
                         "what directors send in tunnels is not unpacked"};
constexpr Trouble steering{
    "steering-missing", Severity::error,
    "QUIC packets of clients whose address changed stay on the wrong server"};
constexpr Trouble service{"service-missing", Severity::error,
                          "clients of it are refused, or go to the wrong servers"};
constexpr Trouble node_settings{"ipvs-settings", Severity::warning,
                                "connections are forgotten, or not synced, as the file wants it"};

Trouble of_sysctl(const SetSysctl& a) {
  struct Known {
    std::string_view end;
    Trouble trouble;
  };
  static constexpr Known all[] = {
      {"/arp_ignore",
       {"arp-ignore", Severity::error,
        "this server answers ARP for the VIPs: clients come here past the directors"}},
      {"/arp_announce",
       {"arp-announce", Severity::error,
        "this server asks with a VIP as the sender, and whoever hears it sends the VIP's traffic "
        "here"}},
      {"net/mptcp/enabled",
       {"mptcp-disabled", Severity::error, "no new socket takes Multipath TCP"}},
      {"net/mptcp/allow_join_initial_addr_port",
       {"c-flag", Severity::error,
        "clients join by the VIP, too, and such joins go to whatever server IPVS chooses"}},
      {"net/ipv4/vs/expire_nodest_conn",
       {"ipvs-nodest", Severity::warning,
        "clients of a server that is removed get silence instead of a new connection"}},
      {"net/ipv4/vs/conn_reuse_mode",
       {"ipvs-reuse", Severity::warning,
        "a client that uses a port again comes back to the server that it had, also when that is "
        "drained"}},
      {"net/ipv4/vs/sloppy_tcp",
       {"ipvs-failover", Severity::warning,
        "connections that another director began are refused here"}},
      {"net/ipv4/vs/conntrack",
       {"ipvs-conntrack", Severity::warning,
        "conntrack sees one half of each connection and takes it for broken"}},
      {"/forwarding",
       {"forwarding", Severity::error, "answers of masqueraded servers do not get through"}},
      {"/rp_filter", {"rp-filter", Severity::error, "what comes in is dropped without a word"}},
  };
  for (const Known& one : all)
    if (a.path.ends_with(one.end)) return one.trouble;
  return {"sysctl-differs", Severity::warning, "the node behaves otherwise than the file wants"};
}

/// What an operation that apply would do means until it is done.
struct Meaning {
  const Patient& patient;

  Trouble operator()(const SetSysctl& a) const { return of_sysctl(a); }
  Trouble operator()(const AddService&) const { return service; }
  Trouble operator()(const EditService&) const {
    return {"service-differs", Severity::warning, "new connections are spread otherwise"};
  }
  Trouble operator()(const RemoveService&) const { return left_over; }
  Trouble operator()(const AddDestination&) const { return service; }
  Trouble operator()(const EditDestination&) const {
    return {"service-differs", Severity::warning, "new connections are spread otherwise"};
  }
  Trouble operator()(const RemoveDestination&) const { return left_over; }
  Trouble operator()(const SetIpvsTimeouts&) const { return node_settings; }
  Trouble operator()(const StartSync&) const { return node_settings; }
  Trouble operator()(const StopSync&) const { return left_over; }
  Trouble operator()(const AddTunnel&) const { return tunnel; }
  Trouble operator()(const SetTunnel&) const { return tunnel; }
  Trouble operator()(const RemoveTunnel&) const { return left_over; }
  Trouble operator()(const AddFou&) const { return tunnel; }
  Trouble operator()(const RemoveFou&) const { return left_over; }
  Trouble operator()(const CreateForward&) const { return signals(); }
  Trouble operator()(const RemoveForward&) const { return left_over; }
  Trouble operator()(const SetSignal&) const { return signals(); }
  Trouble operator()(const RemoveSignal&) const { return left_over; }
  Trouble operator()(const CreateMarks&) const { return marks(); }
  Trouble operator()(const RemoveMarks&) const { return left_over; }
  Trouble operator()(const SetMark&) const { return marks(); }
  Trouble operator()(const RemoveMark&) const { return left_over; }
  Trouble operator()(const AddAddress& a) const {
    if (all_vips(patient.config).contains(a.key.address))
      return {"vip-missing", Severity::error,
              "packets for the VIP are not taken here, and are lost or sent on"};
    return {"signal-address-missing", Severity::error, "joins to the signal address get no answer"};
  }
  Trouble operator()(const RemoveAddress&) const { return left_over; }
  Trouble operator()(const AddEndpoint&) const {
    return {"endpoint-missing", Severity::error,
            "clients are not told of the signal address, and use no extra path"};
  }
  Trouble operator()(const RemoveEndpoint&) const { return left_over; }
  Trouble operator()(const SetEndpoint&) const {
    return {"endpoint-backup", Severity::warning, "extra paths are used otherwise"};
  }
  Trouble operator()(const SetMptcpLimits&) const {
    return {"limits-differ", Severity::warning, "fewer or more extra paths are taken"};
  }
  Trouble operator()(const SetSteeredService&) const { return steering; }
  Trouble operator()(const RemoveSteeredService&) const { return left_over; }
  Trouble operator()(const SetSteerTarget&) const { return steering; }
  Trouble operator()(const RemoveSteerTarget&) const { return left_over; }
  Trouble operator()(const AttachXdp&) const { return steering; }
  Trouble operator()(const DetachXdp&) const { return left_over; }
  Trouble operator()(const MptcpizeUnit&) const {
    return {"unit-plain-tcp", Severity::error, "the service listens for plain TCP, or will"};
  }
  Trouble operator()(const RestoreUnit&) const { return left_over; }

 private:
  Trouble signals() const {
    if (this_director(patient) == nullptr)
      return {"guard-missing", Severity::warning,
              "SYNs to signal addresses that are no joins are not dropped here"};
    return {"signal-forward", Severity::error,
            "joins to signal addresses do not come home to their servers"};
  }
  static Trouble marks() {
    return {"marks-missing", Severity::error,
            "services by firewall mark get nothing; conntrack is not kept from the others"};
  }
};

/// The ids of facts.unread by subsystem: of what was not read, every operation is pending.
const char* unread_id(Subsystem subsystem) {
  switch (subsystem) {
    case Subsystem::sysctl:
      return "sysctls-unread";
    case Subsystem::ipvs:
      return "ipvs-unread";
    case Subsystem::nft:
      return "nftables-unread";
    case Subsystem::rtnl:
      return "addresses-unread";
    case Subsystem::mptcp:
      return "mptcp-unread";
    case Subsystem::xdp:
      return "steering-unread";
    case Subsystem::tunnel:
      return "tunnels-unread";
    case Subsystem::unit:
      return "units-unread";
  }
  return "";
}

constexpr Trouble missing{"setting-missing", Severity::error,
                          "lbctl apply refuses, and touches nothing"};
constexpr Trouble foreign{"foreign-in-the-way", Severity::error,
                          "lbctl apply refuses, and touches nothing"};

void in_the_way(const Patient& patient, Findings& out) {
  for (const Error& error : patient.refusals) {
    const bool lacks = error.code() == Errc::unsupported;
    // The sysctls of IPVS come with it.
    if (lacks && unread(patient, "ipvs-unread") && error.hint().starts_with("modprobe ip_vs"))
      continue;
    const Trouble& trouble = lacks ? missing : foreign;
    out.add({.id = trouble.id,
             .severity = trouble.severity,
             .evidence = {error.text()},
             .consequence = trouble.consequence,
             .mend = error.hint()});
  }
}

}  // namespace

void examine_differences(const Patient& patient, Findings& out) {
  for (const Operation& operation : patient.pending) {
    if (unread(patient, unread_id(subsystem_of(operation.action)))) continue;
    const Trouble trouble = std::visit(Meaning{patient}, operation.action);
    out.add({.id = trouble.id,
             .severity = trouble.severity,
             .evidence = {"lbctl plan: " + plan::render_line(operation)},
             .consequence = trouble.consequence,
             .mend = by_apply,
             .commands = apply_command});
  }
  in_the_way(patient, out);
}

}  // namespace lbctl::doctor
