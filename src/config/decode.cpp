#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "draft.hpp"
#include "text.hpp"
#include "values.hpp"

namespace lbctl::config {

std::string_view name(VipOn vip_on) {
  switch (vip_on) {
    case VipOn::interface:
      return "interface";
    case VipOn::loopback:
      return "loopback";
    case VipOn::none:
      return "none";
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

namespace {

constexpr std::uint32_t longest_persistence = 31 * 24 * 3600;  // as ipvsadm(8) allows
constexpr std::uint32_t longest_drain = 7 * 24 * 3600;
constexpr std::int64_t largest_id = INT64_MAX;  // model::ServerId
constexpr std::uint32_t largest_limit = 8;      // MPTCP_PM_ADDR_MAX
constexpr std::int64_t largest_config = 6;      // 0b111 is never routable
constexpr std::int64_t longest_id = 8, shortest_nonce = 4, longest_nonce = 18, longest_cid = 20;

using Kind = Node::Kind;

/// The member if it is there and of that kind.
const Member* member(const Node& table, std::string_view key, Kind kind) {
  const Member* found = table.find(key);
  return found && found->value.is(kind) ? found : nullptr;
}

/// A word that must be one of `known`; reports and returns nothing if it is not.
template <class T>
std::optional<T> one_of(const Node& node, std::string_view what, std::initializer_list<T> known,
                        Report& report) {
  std::vector<std::string> words;
  for (const T value : known) {
    if (node.text == name(value)) return value;
    words.emplace_back(name(value));
  }
  const std::string near = nearest(node.text, words);
  report.error(node.at, fmt::format("unknown {} \"{}\"", what, node.text),
               near.empty() ? either(quoted(words)) : fmt::format("did you mean \"{}\"?", near));
  return std::nullopt;
}

/// Decodes each element with `decode_one(node) -> optional`; doubles are errors.
template <class T, class F>
DraftList<T> decode_list(const Node& table, Span table_at, std::string_view key, Kind kind,
                         Report& report, F&& decode_one) {
  DraftList<T> out;
  out.key = table_at;
  const Member* found = table.find(key);
  if (!found) return out;
  out.key = found->key_at;
  out.whole = found->value.is(Kind::list);
  std::set<T> seen;
  for (const Node& item : found->value.items) {
    const auto value = item.is(kind) ? decode_one(item) : std::optional<T>();
    if (!value) {
      out.whole = false;
    } else if (seen.insert(*value).second) {
      out.items.push_back({*value, item.at});
    } else {
      report.error(item.at,
                   fmt::format("{} stands twice in the list", report.source().text(item.at)));
    }
  }
  return out;
}

DraftList<model::IpAddress> decode_addresses(const Node& table, Span at, std::string_view key,
                                             Report& report) {
  return decode_list<model::IpAddress>(table, at, key, Kind::text, report, [&](const Node& node) {
    return decode_address(node, report);
  });
}

std::optional<std::string> interface_name(const Node& node, Report& report) {
  return check_interface(node, report) ? std::optional(node.text) : std::nullopt;
}

Spanned<std::string> decode_interface(const Node& table, Report& report) {
  const Member* found = member(table, "interface", Kind::text);
  if (!found || !check_interface(found->value, report)) return {};
  return {found->value.text, found->value.at};
}

DraftDirector decode_director(const Member& entry, Report& report) {
  const Node& table = entry.value;
  DraftDirector out;
  out.name = entry.key;
  out.at = entry.key_at;
  check_name(entry.key, entry.key_at, "director", report);
  out.addresses = decode_addresses(table, entry.key_at, "address", report);
  out.interface = decode_interface(table, report);
  out.client_interfaces =
      decode_list<std::string>(table, entry.key_at, "client_interfaces", Kind::text, report,
                               [&](const Node& node) { return interface_name(node, report); });
  if (const Member* found = member(table, "vip_on", Kind::text)) {
    out.vip_on =
        one_of(found->value, "vip_on", {VipOn::interface, VipOn::loopback, VipOn::none}, report)
            .value_or(out.vip_on);
  }
  return out;
}

DraftServer decode_server(const Member& entry, Report& report) {
  const Node& table = entry.value;
  DraftServer out;
  out.name = entry.key;
  out.at = entry.key_at;
  check_name(entry.key, entry.key_at, "server", report);
  out.addresses = decode_addresses(table, entry.key_at, "address", report);
  out.interface = decode_interface(table, report);
  out.signal = decode_addresses(table, entry.key_at, "signal", report);
  if (const Member* found = member(table, "id", Kind::integer)) {
    if (found->value.integer == 0) {
      report.error(found->value.at, "id 0 names no server",
                   "a connection ID of zeros must not lead anywhere; start with 1");
    } else if (const auto id = decode_number(found->value, "id", 1, largest_id, report)) {
      out.id = {static_cast<std::uint64_t>(*id), found->value.at};
    }
  }
  return out;
}

std::optional<std::uint16_t> decode_port(const Node& node, Report& report) {
  const auto port = decode_number(node, "port", 1, 65535, report);
  return port ? std::optional(static_cast<std::uint16_t>(*port)) : std::nullopt;
}

/// The servers of the file by name, whatever else may be wrong with them.
using Names = std::set<std::string>;

bool names_server(const Names& servers, const std::string& name, Span at, Report& report) {
  if (servers.contains(name)) return true;
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
    const auto weight = use.value.is(Kind::integer)
                            ? decode_number(use.value, "weight", 0, 65535, report)
                            : std::nullopt;
    if (known && weight) {
      out.servers.items.push_back({{use.key, static_cast<std::uint16_t>(*weight)}, use.key_at});
    } else {
      out.servers.whole = false;
    }
  }
  out.servers.whole =
      out.servers.whole && (found->value.is(Kind::list) || found->value.is(Kind::table));
}

/// A key with one right value so far.
void only_word(const Node& table, std::string_view key, std::string_view right,
               std::initializer_list<std::string_view> later, std::string_view hint,
               Report& report) {
  const Member* found = member(table, key, Kind::text);
  if (!found || found->value.text == right) return;
  const std::string& word = found->value.text;
  if (std::ranges::find(later, word) != later.end()) {
    report.error(found->value.at,
                 fmt::format("{} = \"{}\" is not supported by this version", key, word),
                 std::string(hint));
  } else {
    report.error(found->value.at, fmt::format("unknown {} \"{}\"", key, word),
                 fmt::format("write \"{}\"", right));
  }
}

void decode_mptcp(const Member& entry, DraftService& out, Report& report) {
  const Node& table = entry.value;
  out.mptcp = entry.key_at;
  only_word(table, "signal", "address", {"port"},
            "write \"address\" and give each server signal addresses of its own", report);
  only_word(table, "via", "forward", {"ipvs", "direct"}, "write \"forward\"", report);
  out.join_only.at = entry.key_at;
  if (const Member* found = member(table, "join_only", Kind::boolean)) {
    out.join_only = {found->value.boolean, found->value.at};
  }
}

std::optional<Spanned<model::CidScheme>> decode_cid(const Node& table, Report& report) {
  only_word(table, "scheme", "quic-lb", {}, "", report);
  const std::size_t before = report.errors();
  model::CidScheme cid;
  const auto number = [&](std::string_view key, std::int64_t least, std::int64_t most,
                          std::uint8_t& value) {
    const Member* found = member(table, key, Kind::integer);
    if (!found) return;
    value = static_cast<std::uint8_t>(
        decode_number(found->value, key, least, most, report).value_or(value));
  };
  number("config", 0, largest_config, cid.config);
  number("id_length", 1, longest_id, cid.id_length);
  number("nonce_length", shortest_nonce, longest_nonce, cid.nonce_length);
  if (report.errors() != before) return std::nullopt;
  if (cid.cid_length() > longest_cid) {
    report.error(table.at,
                 fmt::format("the connection ID has {} octets, QUIC allows {}", cid.cid_length(),
                             longest_cid),
                 fmt::format("1 + id_length {} + nonce_length {} must be {} at most", cid.id_length,
                             cid.nonce_length, longest_cid));
    return std::nullopt;
  }
  return Spanned<model::CidScheme>{cid, table.at};
}

DraftService decode_service(const Names& servers, const Member& entry, Report& report) {
  const Node& table = entry.value;
  DraftService out;
  out.name = entry.key;
  out.at = entry.key_at;
  check_name(entry.key, entry.key_at, "service", report);
  out.vips = decode_addresses(table, entry.key_at, "vip", report);
  out.ports =
      decode_list<std::uint16_t>(table, entry.key_at, "ports", Kind::integer, report,
                                 [&](const Node& node) { return decode_port(node, report); });
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
    out.persistence_timeout = decode_seconds(found->value, longest_persistence, report).value_or(0);
  }
  decode_servers(servers, table, out, report);
  out.join_only.at = entry.key_at;
  if (const Member* found = member(table, "mptcp", Kind::table)) decode_mptcp(*found, out, report);
  if (const Member* found = member(table, "quic", Kind::table)) {
    out.quic = found->key_at;
    const Member* cid = member(found->value, "cid", Kind::table);
    if (cid) out.cid = decode_cid(cid->value, report);
  }
  return out;
}

void decode_limits(const Member& entry, Draft& out, Report& report) {
  Spanned<model::MptcpLimits> limits{{}, entry.key_at};
  const auto number = [&](std::string_view key, std::uint32_t& value) {
    const Member* found = member(entry.value, key, Kind::integer);
    if (!found) return;
    const auto limit = decode_number(found->value, key, 0, largest_limit, report);
    if (limit) value = static_cast<std::uint32_t>(*limit);
    if (key == "subflows") limits.at = found->value.at;
  };
  number("subflows", limits.value.subflows);
  number("add_addr_accepted", limits.value.add_addr_accepted);
  out.limits = limits;
}

void decode_drain(const Node& table, model::Patience& out, Report& report) {
  const auto seconds = [&](std::string_view key, std::uint32_t& value) {
    if (const Member* found = member(table, key, Kind::text))
      value = decode_seconds(found->value, longest_drain, report).value_or(value);
  };
  seconds("tcp", out.tcp);
  seconds("udp", out.udp);
  out.steering = out.udp;
}

/// The members of a table of named tables that are tables.
template <class F>
void each_named(const Node& root, std::string_view key, F&& take) {
  const Member* found = member(root, key, Kind::table);
  if (!found) return;
  for (const Member& entry : found->value.members) {
    if (entry.value.is(Kind::table)) take(entry);
  }
}

}  // namespace

Draft decode(const Node& root, Report& report) {
  Draft out;
  if (const Member* cluster = member(root, "cluster", Kind::table)) {
    if (const Member* found = member(cluster->value, "name", Kind::text)) {
      out.cluster = found->value.text;
      check_name(out.cluster, found->value.at, "cluster", report);
    }
  }
  each_named(root, "directors",
             [&](const Member& entry) { out.directors.push_back(decode_director(entry, report)); });
  Names servers;
  each_named(root, "servers", [&](const Member& entry) {
    servers.insert(entry.key);
    out.servers.push_back(decode_server(entry, report));
  });
  each_named(root, "services", [&](const Member& entry) {
    out.services.push_back(decode_service(servers, entry, report));
  });
  if (const Member* found = member(root, "mptcp", Kind::table)) decode_limits(*found, out, report);
  if (const Member* found = member(root, "drain", Kind::table))
    decode_drain(found->value, out.drain, report);
  return out;
}

}  // namespace lbctl::config
