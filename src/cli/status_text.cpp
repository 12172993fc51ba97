#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lbctl/plan/render.hpp"
#include "status.hpp"
#include "status_figures.hpp"

namespace lbctl::cli {

using namespace model;

namespace {

/// A heading that appears only if something follows it.
class Section {
 public:
  Section(std::string& out, std::string heading) : out_(out), heading_(std::move(heading)) {}
  void line(std::string_view text, int depth = 1) {
    if (!std::exchange(begun_, true)) out_ += heading_ + "\n";
    out_ += fmt::format("{:{}}{}\n", "", 2 * depth, text);
  }

 private:
  std::string& out_;
  std::string heading_;
  bool begun_ = false;
};

void services(std::string& out, const IpvsState& ipvs, const IpvsCounters& counters) {
  Section section(out, "virtual services");
  for (const auto& [key, service] : ipvs) {
    section.line(fmt::format("{}  {}", key.text(), plan::describe(service)));
    for (const auto& [to, destination] : service.destinations) {
      std::string text = fmt::format("-> {}  {}", to.text(), plan::describe(destination));
      if (const auto it = counters.find({key, to}); it != counters.end())
        text += fmt::format("  active {} inactive {}", it->second.active_connections,
                            it->second.inactive_connections);
      section.line(text, 2);
    }
  }
}

/// ", 12 packets brought home"
std::string packets_home(const EndpointKey& signal, const std::optional<SignalCounters>& counters) {
  if (!counters) return "";
  const auto found = counters->brought_home.find(signal);
  return found == counters->brought_home.end()
             ? ""
             : fmt::format(", {} packets brought home", found->second);
}

void signals(std::string& out, const NftState& nft, const std::optional<SignalCounters>& counters) {
  if (!nft.forward) return;
  Section section(out, fmt::format("signal addresses ({}{})", plan::describe(*nft.forward),
                                   nft.intact ? "" : "; damaged"));
  for (const auto& [signal, target] : nft.forward->addresses)
    section.line(fmt::format("{} {} {}{}", signal.text(), target.server ? "->" : "here",
                             plan::describe(target), packets_home(signal, counters)));
  if (counters)
    section.line(fmt::format(
        "dropped: {} no joins, {} without MPTCP, {} above their rate, {} "
        "fragments",
        counters->not_joins, counters->not_mptcp, counters->over_rate, counters->fragments));
}

void marks(std::string& out, const NftState& nft) {
  if (!nft.marks) return;
  Section section(out, fmt::format("marks{}", nft.marks_intact ? "" : " (damaged)"));
  for (const auto& [key, mark] : *nft.marks)
    section.line(fmt::format("{} -> {}", key.text(), mark.text()));
}

std::string packets_text(const kernel::XdpCounters& counters) {
  std::string out;
  for (const auto& [figure, n] : counters.named())
    out += fmt::format("{}{} {}", out.empty() ? "" : " ", figure, n);
  return out;
}

void steering(std::string& out, const XdpState& xdp,
              const std::optional<kernel::XdpFigures>& counters) {
  Section section(out, "QUIC steering");
  for (const auto& [device, attachment] : xdp.attachments)
    section.line(fmt::format("dev {}  {}", device, plan::describe(attachment)));
  for (const auto& [key, service] : xdp.services) {
    section.line(fmt::format("{}  {}", key.text(), plan::describe(service)));
    if (counters && counters->services.contains(key))
      section.line("packets: " + packets_text(counters->services.at(key)), 2);
  }
  for (const auto& [id, target] : xdp.servers) {
    const bool counted = counters && !target.local && counters->servers.contains(id);
    section.line(fmt::format("server id {}  {}{}", id.text(), plan::describe(target),
                             counted ? fmt::format(", sent {}", counters->servers.at(id)) : ""),
                 2);
  }
  if (counters) section.line("packets: " + packets_text(counters->total));
}

void endpoints(std::string& out, const MptcpState& mptcp) {
  Section section(out, "MPTCP endpoints");
  for (const auto& [key, endpoint] : mptcp.endpoints)
    section.line(fmt::format("{}  id {} {}", key.text(), endpoint.id, endpoint.text()));
}

void node_settings(std::string& out, const NodeState& ours) {
  Section sync(out, "connection sync");
  for (const auto& [role, daemon] : ours.ipvs_node.daemons)
    sync.line(fmt::format("{}  {}", name(role), plan::describe(daemon)));
  Section tunnels(out, "tunnel ends");
  for (const auto& [device, tunnel] : ours.tunnels.devices)
    tunnels.line(fmt::format("dev {}  {}", device, plan::describe(tunnel)));
  for (const auto& [key, port] : ours.tunnels.ports)
    tunnels.line(fmt::format("{}  {}", key.text(), plan::describe(port)));
  Section units(out, "services that listen with MPTCP");
  for (const auto& [unit, how] : ours.units.mptcpized)
    units.line(fmt::format("{}  {}", unit, how.text()));
}

void drains(std::string& out, const engine::DrainList& list, UnixTime now) {
  Section section(out, "drains asked for (until undrain)");
  for (const DrainIntent& intent : list) {
    std::string text = "server " + intent.server;
    if (intent.service) text += " in service " + *intent.service;
    text += fmt::format("  since {}", plan::duration(number(now) - number(intent.since)));
    if (intent.until != 0) text += fmt::format(", until {} connections", intent.until);
    if (intent.persistent) text += ", also after a reboot";
    section.line(text);
  }
}

void foreign(std::string& out, const NodeState& state) {
  Section section(out, "foreign (never touched)");
  for (const auto& [key, service] : state.ipvs)
    section.line(fmt::format("ipvs {}  {}", key.text(), plan::describe(service)));
  for (const auto& [key, endpoint] : state.mptcp.endpoints)
    section.line(fmt::format("mptcp endpoint {}  {}", key.text(), endpoint.text()));
  for (const auto& [role, daemon] : state.ipvs_node.daemons)
    section.line(fmt::format("ipvs sync daemon {}  {}", name(role), plan::describe(daemon)));
  for (const auto& [device, program] : state.xdp.foreign)
    section.line(fmt::format("xdp program {} dev {}", program, device));
  for (const std::string& unit : state.units.foreign)
    section.line("mptcpize drop-in of " + unit);
}

}  // namespace

std::string status_text(const engine::Preview& preview,
                        const std::optional<kernel::XdpFigures>& counters,
                        const engine::DrainList& drain_list) {
  const UnixTime now = engine::Engine::system_time();
  std::string out;
  const NodeState& ours = preview.split.ours;
  services(out, ours.ipvs, preview.observed.ipvs_counters);
  marks(out, ours.nft);
  signals(out, ours.nft, preview.observed.signal_counters);
  Section addresses(out, "addresses");
  for (const auto& [key, settings] : ours.addresses)
    addresses.line(key.text());
  endpoints(out, ours.mptcp);
  node_settings(out, ours);
  steering(out, ours.xdp, counters);
  drains(out, drain_list, now);
  Section leaving(out, "on its way out");
  for (const std::string& line : plan::render(preview.plan.stays, preview.observed, now))
    leaving.line(line);
  Section differs(out, "differs from the file (what apply would do)");
  for (const Operation& operation : preview.plan.operations)
    differs.line(plan::render_line(operation));
  Section refused(out, "in the way (apply would refuse)");
  for (const Error& refusal : preview.refusals)
    refused.line(refusal.text());
  foreign(out, preview.split.foreign);
  return out;
}

}  // namespace lbctl::cli
