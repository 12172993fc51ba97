#include "lbctl/plan/render.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lbctl::plan {

using namespace model;

std::string describe(const VirtualService& s) {
  std::string out = "scheduler " + s.scheduler;
  if (const auto flags = scheduler_flag_names(s); !flags.empty())
    out += fmt::format(" ({})", fmt::join(flags, ", "));
  if (s.flags.persistent) {
    out += fmt::format(" persistent {}s", s.persistence_timeout);
    if (s.persistence_prefix != 32 && s.persistence_prefix != 128)
      out += fmt::format(" per /{}", s.persistence_prefix);
  }
  if (s.flags.one_packet) out += " one-packet";
  return out;
}

namespace {
std::string describe_tunnel(const Tunnel& t) {
  std::string out(name(t.type));
  if (number(t.port) != 0) out += fmt::format(" port {}", number(t.port));
  if (t.checksum != TunnelChecksum::none) out += fmt::format(" checksum {}", name(t.checksum));
  return out;
}
}  // namespace

std::string describe(const Destination& d) {
  std::string out(name(d.forward));
  if (d.forward == Forward::tunnel) out += " " + describe_tunnel(d.tunnel);
  out += fmt::format(" weight {}", number(d.weight));
  if (d.upper_threshold != 0) out += fmt::format(" upper {}", d.upper_threshold);
  if (d.lower_threshold != 0) out += fmt::format(" lower {}", d.lower_threshold);
  return out;
}

std::string describe(const CidScheme& s) {
  std::string out(name(s.format));
  switch (s.format) {
    case CidFormat::quic_lb:
      out += fmt::format(" config {} id {} nonce {} octets", s.config, s.id_length, s.nonce_length);
      break;
    case CidFormat::katran:
      out += fmt::format(" version {}", s.version);
      break;
    case CidFormat::dpvs:
      out += s.id_length == 3 ? " ipv4" : " ipv6";
      break;
    case CidFormat::raw:
      out += fmt::format(" offset {} id {} of {} octets", s.offset, s.id_length, s.cid_length());
      break;
    case CidFormat::msquic:
      break;
  }
  if (s.encrypted) out += " encrypted";
  if (s.key) out += fmt::format(" (key check {})", s.key->check());
  return out;
}

std::string describe(const SteeredService& service) {
  std::vector<std::string> out;
  for (const CidScheme& scheme : service.cids)
    out.push_back(describe(scheme));
  if (service.keep_long) out.emplace_back("long headers kept");
  if (service.drop_unknown) out.emplace_back("unknown ids dropped");
  return fmt::format("{}", fmt::join(out, "; "));
}

std::string describe(const SteerTarget& t) {
  if (t.local) return "here";
  if (t.tunnel)
    return fmt::format("tunnel {} -> {} mtu {} via {}", t.tunnel->source.text(),
                       t.tunnel->destination.text(), t.tunnel->mtu,
                       t.mac.is_zero() ? "unresolved" : t.mac.text());
  return t.mac.is_zero() ? "unresolved" : t.mac.text();
}

std::string describe(const ForwardTarget& t) {
  if (!t.server) return "join-only";
  return t.server->text() + (t.join_only ? " join-only" : "");
}

std::string describe(const MptcpLimits& l) {
  return fmt::format("subflows {} add_addr_accepted {}", l.subflows, l.add_addr_accepted);
}

std::string describe(const IpvsTimeouts& t) {
  std::vector<std::string> out;
  const auto add = [&](const char* what, std::uint32_t seconds) {
    if (seconds != 0) out.push_back(fmt::format("{} {}s", what, seconds));
  };
  add("tcp", t.tcp);
  add("tcp_fin", t.tcp_fin);
  add("udp", t.udp);
  return fmt::format("{}", fmt::join(out, " "));
}

std::string describe(const SyncDaemon& d) {
  return fmt::format("dev {} id {} group {} port {} ttl {} maxlen {}", d.device, d.id,
                     d.group.text(), number(d.port), d.ttl, d.max_length);
}

std::string describe(const TunnelDevice& d) {
  return fmt::format("{} local {} remote {}{} {} rp_filter {}", name(d.kind), d.local.text(),
                     d.remote ? d.remote->text() : "any", d.checksum ? " checksum" : "",
                     d.up ? "up" : "down", d.rp_filter);
}

std::string describe(const FouPort& p) {
  return p.gue ? "gue" : "fou";
}

namespace {

std::vector<std::string> texts(const std::set<EndpointKey>& keys) {
  std::vector<std::string> out;
  for (const EndpointKey& key : keys)
    out.push_back(key.text());
  return out;
}

}  // namespace

std::string describe(const SignalForward& f) {
  std::string out = fmt::format("ingress of {}", fmt::join(f.client_devices, ", "));
  if (!f.server_device.empty()) out += ", out by " + f.server_device;
  if (!f.mptcp_only.empty())
    out += fmt::format("; mptcp only: {}", fmt::join(texts(f.mptcp_only), ", "));
  for (const auto& [name, limit] : f.limits)
    out += fmt::format("; {}: {} from each /{} to {}", name, limit.rate.text(), limit.prefix,
                       fmt::join(texts(limit.to), ", "));
  return out;
}

std::string describe(const MarkChains& c) {
  const char* what = c.marking && c.untracking ? "firewall marks and notrack"
                     : c.untracking            ? "notrack"
                                               : "firewall marks";
  return fmt::format("{} at prerouting", what);
}

std::string describe(const XdpAttachment& a) {
  return fmt::format("{} program {}", name(a.mode), a.program);
}

namespace {

/// What every way of rendering says of one action.
struct Line {
  char symbol;
  std::string object;
  std::string from, to;
  std::string setting;  ///< the one setting that differs, if it is only one
};

template <class T>
std::string maybe(const std::optional<T>& value) {
  return value ? describe(*value) : std::string();
}

std::string between(const ServiceKey& service, const DestinationKey& destination) {
  return fmt::format("{} -> {}", service.text(), destination.text());
}

/// Only what differs, so that a changed weight reads "weight 1 -> 3".
Line edited(const EditDestination& a) {
  Line line{'~', between(a.service, a.key), describe(a.from), describe(a.to)};
  Destination as_to = a.from;
  as_to.weight = a.to.weight;
  if (as_to == a.to) {
    line.setting = "weight ";
    line.from = fmt::to_string(number(a.from.weight));
    line.to = fmt::to_string(number(a.to.weight));
  }
  return line;
}

struct ToLine {
  Line operator()(const SetSysctl& a) const { return {'~', sysctl_name(a.path), a.from, a.to}; }
  Line operator()(const AddService& a) const {
    return {'+', a.key.text(), "", describe(a.service)};
  }
  Line operator()(const EditService& a) const {
    return {'~', a.key.text(), describe(a.from), describe(a.to)};
  }
  Line operator()(const RemoveService& a) const { return {'-', a.key.text(), "", ""}; }
  Line operator()(const AddDestination& a) const {
    return {'+', between(a.service, a.key), "", describe(a.destination)};
  }
  Line operator()(const EditDestination& a) const { return edited(a); }
  Line operator()(const RemoveDestination& a) const {
    return {'-', between(a.service, a.key), "", ""};
  }
  Line operator()(const SetIpvsTimeouts& a) const {
    return {'~', "timeouts", describe(a.from), describe(a.to)};
  }
  Line operator()(const StartSync& a) const {
    return {'+', fmt::format("sync daemon {}", name(a.role)), "", describe(a.daemon)};
  }
  Line operator()(const StopSync& a) const {
    return {'-', fmt::format("sync daemon {}", name(a.role)), "", ""};
  }
  Line operator()(const AddTunnel& a) const {
    return {'+', "dev " + a.name, "", describe(a.device)};
  }
  Line operator()(const SetTunnel& a) const {
    return {'~', "dev " + a.name, describe(a.from), describe(a.to)};
  }
  Line operator()(const RemoveTunnel& a) const { return {'-', "dev " + a.name, "", ""}; }
  Line operator()(const AddFou& a) const { return {'+', a.key.text(), "", describe(a.port)}; }
  Line operator()(const RemoveFou& a) const { return {'-', a.key.text(), "", ""}; }
  Line operator()(const CreateForward& a) const {
    return {a.replaces ? '~' : '+', "table netdev lbctl", "", describe(a.forward)};
  }
  Line operator()(const RemoveForward&) const { return {'-', "table netdev lbctl", "", ""}; }
  Line operator()(const SetSignal& a) const {
    return {a.from ? '~' : '+', "signal " + a.signal.text(), maybe(a.from), describe(a.to)};
  }
  Line operator()(const RemoveSignal& a) const {
    return {'-', "signal " + a.signal.text(), "", ""};
  }
  Line operator()(const CreateMarks& a) const {
    return {a.replaces ? '~' : '+', "table inet lbctl", "", describe(a.chains)};
  }
  Line operator()(const RemoveMarks&) const { return {'-', "table inet lbctl", "", ""}; }
  Line operator()(const SetMark& a) const {
    return {a.from ? '~' : '+', "mark " + a.key.text(), a.from ? a.from->text() : "", a.to.text()};
  }
  Line operator()(const RemoveMark& a) const { return {'-', "mark " + a.key.text(), "", ""}; }
  Line operator()(const AddAddress& a) const {
    if (a.stands) return {'~', a.key.text(), "", "marked as lbctl's"};
    return {'+', a.key.text(), "", a.settings.announce ? "announced" : ""};
  }
  Line operator()(const RemoveAddress& a) const { return {'-', a.key.text(), "", ""}; }
  Line operator()(const AddEndpoint& a) const {
    return {'+', "endpoint " + a.key.text(), "", a.endpoint.text()};
  }
  Line operator()(const RemoveEndpoint& a) const {
    return {'-', "endpoint " + a.key.text(), "", ""};
  }
  Line operator()(const SetEndpoint& a) const {
    return {'~', "endpoint " + a.key.text(), a.from.text(), a.to.text()};
  }
  Line operator()(const SetMptcpLimits& a) const {
    return {'~', "limits", describe(a.from), describe(a.to)};
  }
  Line operator()(const SetSteeredService& a) const {
    return {a.from ? '~' : '+', "steer " + a.key.text(), maybe(a.from), describe(a.to)};
  }
  Line operator()(const RemoveSteeredService& a) const {
    return {'-', "steer " + a.key.text(), "", ""};
  }
  Line operator()(const SetSteerTarget& a) const {
    return {a.from ? '~' : '+', "server id " + a.id.text(), maybe(a.from), describe(a.to)};
  }
  Line operator()(const RemoveSteerTarget& a) const {
    return {'-', "server id " + a.id.text(), "", ""};
  }
  Line operator()(const AttachXdp& a) const {
    return {a.from ? '~' : '+', "program dev " + a.device, maybe(a.from), describe(a.to)};
  }
  Line operator()(const DetachXdp& a) const { return {'-', "program dev " + a.device, "", ""}; }
  Line operator()(const MptcpizeUnit& a) const {
    return {a.from ? '~' : '+', "mptcpize " + a.unit, a.from ? a.from->text() : "", a.to.text()};
  }
  Line operator()(const RestoreUnit& a) const { return {'-', "mptcpize " + a.unit, "", ""}; }
};

std::string_view why_text(Reason why) {
  switch (why) {
    case Reason::not_in_file:
      return "not in the file";
    case Reason::going_down:
      return "going down";
    case Reason::draining:
      return "while servers drain";
    case Reason::drain_asked:
      return "drain asked for";
    case Reason::unhealthy:
      return "its health checks fail";
    case Reason::deadline:
      return "the time to drain is over";
    case Reason::by_hand:
      return "undone by hand";
    case Reason::reverting:
      return "as it was before";
    case Reason::not_in_kernel:
    case Reason::differs:
      return "";  // said by the symbol
  }
  return "";
}

/// Nothing of these can be changed in place.
bool comes_again(const Operation& operation) {
  return operation.why == Reason::differs &&
         (std::holds_alternative<StopSync>(operation.action) ||
          std::holds_alternative<RemoveTunnel>(operation.action) ||
          std::holds_alternative<RemoveFou>(operation.action));
}

std::string_view change_word(char symbol) {
  return symbol == '+' ? "add" : symbol == '-' ? "remove" : "change";
}

}  // namespace

std::string render_line(const Operation& operation) {
  const Line line = std::visit(ToLine{}, operation.action);
  std::string out =
      fmt::format("{} {} {}", line.symbol, name(subsystem_of(operation.action)), line.object);
  if (!line.from.empty() && !line.to.empty()) {
    out += fmt::format("  {}{} -> {}", line.setting, line.from, line.to);
  } else if (!line.to.empty()) {
    out += "  " + line.to;
  }
  std::string remark(why_text(operation.why));
  if (comes_again(operation)) remark = "to come again, changed";
  if (operation.connections != 0) {
    if (!remark.empty()) remark += "; ";
    remark += fmt::format("{} {} {}", operation.connections,
                          operation.connections == 1 ? "connection" : "connections",
                          line.symbol == '-' ? "cut off" : "to drain");
  }
  if (!remark.empty()) out += fmt::format("  ({})", remark);
  return out;
}

std::string render(std::span<const Operation> operations) {
  std::string out;
  for (const Operation& operation : operations)
    out += render_line(operation) + "\n";
  return out;
}

nlohmann::ordered_json to_json(std::span<const Operation> operations) {
  auto out = nlohmann::ordered_json::array();
  for (const Operation& operation : operations) {
    const Line line = std::visit(ToLine{}, operation.action);
    nlohmann::ordered_json entry;
    entry["change"] = change_word(line.symbol);
    entry["subsystem"] = name(subsystem_of(operation.action));
    entry["object"] = line.object;
    if (!line.from.empty()) entry["from"] = line.setting + line.from;
    if (!line.to.empty()) entry["to"] = line.setting + line.to;
    entry["reason"] = name(operation.why);
    if (operation.connections != 0)
      entry["disruption"] = {{"connections", operation.connections},
                             {"effect", line.symbol == '-' ? "cut" : "drain"}};
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace lbctl::plan
