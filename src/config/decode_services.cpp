// Services.
#include <algorithm>

#include "decode_parts.hpp"

namespace lbctl::config {

std::string_view name(Signal signal) {
  return signal == Signal::address ? "address" : "port";
}

std::string_view name(Via via) {
  switch (via) {
    case Via::forward:
      return "forward";
    case Via::ipvs:
      return "ipvs";
    case Via::direct:
      return "direct";
  }
  return "unknown";
}

std::string_view name(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "tcp";
    case Protocol::mptcp:
      return "mptcp";
    case Protocol::udp:
      return "udp";
    case Protocol::quic:
      return "quic";
  }
  return "unknown";
}

bool names_server(const Names& servers, const std::string& name, Span at, Report& report) {
  if (servers.contains(name)) return true;
  if (report.partial()) return false;  // it may stand in what could not be read
  constexpr std::size_t most_listed = 20;
  std::string hint;
  const std::vector<std::string> known(servers.begin(), servers.end());
  if (const std::string near = report.full() ? "" : nearest(name, known); !near.empty()) {
    hint = fmt::format("did you mean \"{}\"?", near);
  } else if (known.empty()) {
    hint = "servers are declared as [servers.NAME]";
  } else if (known.size() <= most_listed) {
    hint = fmt::format("the servers are {}", listed(known));
  }
  report.error(at, fmt::format("there is no server \"{}\"", name), hint);
  return false;
}

namespace {

/// From a list of names, a table of weights, or nothing: every server.
void decode_servers(const Names& servers, const Node& table, DraftService& out, Report& report) {
  out.servers.key = out.at;
  const Member* found = table.find("servers");
  if (!found) {
    for (const std::string& name : servers)
      out.servers.items.push_back({{name, 1}, out.at});
    return;
  }
  out.servers.key = found->key_at;
  Names seen;
  for (const Node& item : found->value.items) {
    if (!item.is(Kind::text) || !names_server(servers, item.text, item.at, report)) {
      out.servers.whole = false;
    } else if (seen.insert(item.text).second) {
      out.servers.items.push_back({{item.text, 1}, item.at});
    } else {
      report.error(item.at, fmt::format("\"{}\" stands twice in the list", item.text));
    }
  }
  for (const Member& use : found->value.members) {
    const bool known = names_server(servers, use.key, use.key_at, report);
    DraftUse draft{.name = use.key};
    const bool right = decode_use(use.value, draft, report);
    if (known && right) {
      out.servers.items.push_back({std::move(draft), use.key_at});
    } else {
      out.servers.whole = false;
    }
  }
  out.servers.whole =
      out.servers.whole && (found->value.is(Kind::list) || found->value.is(Kind::table));
}

void decode_mptcp(const Member& entry, DraftService& out, Report& report) {
  const Node& table = entry.value;
  out.mptcp = entry.key_at;
  out.joins = decode_limit(table, report);
  if (const Member* found = member(table, "signal", Kind::text)) {
    if (const auto signal = one_of(found->value, "signal", {Signal::address, Signal::port}, report))
      out.signal = {*signal, found->value.at};
    else
      out.signal_known = false;
  }
  if (const Member* found = member(table, "port_base", Kind::integer)) {
    if (const auto base = decode_number(found->value, "port_base", port_base_range, report))
      out.port_base = {static_cast<std::uint16_t>(*base), found->value.at};
    else
      out.signal_known = false;
  }
  out.via.at = entry.key_at;
  if (const Member* found = member(table, "via", Kind::text)) {
    if (const auto via =
            one_of(found->value, "via", {Via::forward, Via::ipvs, Via::direct}, report))
      out.via = {*via, found->value.at};
    else
      out.signal_known = false;
  }
  out.join_only.at = entry.key_at;
  if (const Member* found = member(table, "join_only", Kind::boolean)) {
    out.join_only = {found->value.boolean, found->value.at};
  }
}

/// What QUIC steering does otherwise than usual.
void decode_exceptions(const Node& quic, DraftService& out, Report& report) {
  if (const Member* found = member(quic, "initial", Kind::text))
    out.initial = one_of(found->value, "initial", {Initial::steer, Initial::local}, report)
                      .value_or(out.initial);
  if (const Member* found = member(quic, "unknown", Kind::text))
    out.unknown = one_of(found->value, "unknown", {Unknown::pass, Unknown::drop}, report)
                      .value_or(out.unknown);
}

}  // namespace

DraftService decode_service(const Names& servers, const Member& entry, Report& report) {
  const Node& table = entry.value;
  DraftService out;
  out.name = entry.key;
  out.at = entry.key_at;
  check_name(entry.key, entry.key_at, "service", report);
  out.vips = decode_addresses(table, entry.key_at, "vip", report);
  decode_ports(table, out, report);
  if (const Member* found = member(table, "fwmark", Kind::integer)) {
    if (const auto mark = decode_number(found->value, "fwmark", fwmark_range, report))
      out.fwmark = {static_cast<std::uint32_t>(*mark), found->value.at};
  }
  out.protocols = decode_list<Protocol>(
      table, entry.key_at, "protocols", Kind::text, report, [&](const Node& node) {
        return one_of(node, "protocol",
                      {Protocol::tcp, Protocol::mptcp, Protocol::udp, Protocol::quic}, report);
      });
  if (const Member* found = member(table, "scheduler", Kind::text)) {
    out.scheduler = {found->value.text, found->value.at};
  } else {
    out.scheduler.at = entry.key_at;
  }
  out.flags = decode_list<std::string>(table, entry.key_at, "scheduler_flags", Kind::text, report,
                                       [](const Node& node) { return std::optional(node.text); });
  if (const Member* found = member(table, "persistence_timeout", Kind::text)) {
    out.persistence_timeout = decode_seconds(found->value, persistence_range, report).value_or(0);
  }
  out.has_persistence = table.find("persistence_timeout") != nullptr;
  decode_forward(table, out, report);
  decode_servers(servers, table, out, report);
  out.join_only.at = out.via.at = entry.key_at;
  if (const Member* found = member(table, "mptcp", Kind::table)) decode_mptcp(*found, out, report);
  if (const Member* found = member(table, "guard", Kind::table)) decode_guard(*found, out, report);
  if (const Member* found = member(table, "quic", Kind::table)) {
    out.quic = found->key_at;
    out.cids = decode_cids(found->value, out.vips, report);
    decode_exceptions(found->value, out, report);
  }
  decode_health(servers, table, out, report);
  return out;
}

}  // namespace lbctl::config
