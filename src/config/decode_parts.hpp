// What the parts of decode() share: members of a table by kind, words, lists.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "draft.hpp"
#include "ranges.hpp"
#include "text.hpp"
#include "values.hpp"

namespace lbctl::config {

using Kind = Node::Kind;

/// The member if it is there and of that kind.
inline const Member* member(const Node& table, std::string_view key, Kind kind) {
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

/// A number that stays as it is where the key is left out or wrong.
template <class T>
void decode_count(const Node& table, std::string_view key, Range range, T& value, Report& report) {
  const Member* found = member(table, key, Kind::integer);
  if (!found) return;
  const auto decoded = decode_number(found->value, key, range, report);
  if (decoded) value = static_cast<T>(*decoded);
}

DraftList<model::IpAddress> decode_addresses(const Node& table, Span at, std::string_view key,
                                             Report& report);

/// The servers of the file by name, whatever else may be wrong with them.
using Names = std::set<std::string>;

void decode_mptcp(const Member& entry, Draft& out, Report& report);
DraftIpvs decode_ipvs(const Node& table, Report& report);
/// `ports`: single ports, ranges, or "all".
void decode_ports(const Node& table, DraftService& out, Report& report);
DraftDirector decode_director(const Member& entry, Report& report);
DraftServer decode_server(const Member& entry, Report& report);
/// How its packets travel, and the limits of its servers.
void decode_forward(const Node& table, DraftService& out, Report& report);
/// What sources may send.
/// The keys syn_rate and syn_burst.
DraftRate decode_limit(const Node& table, Report& report);
void decode_guard(const Member& entry, DraftService& out, Report& report);
/// From a weight or a table; false if something in it is wrong.
bool decode_use(const Node& node, DraftUse& out, Report& report);
/// The service's check, and what follows from its servers' health.
void decode_health(const Names& servers, const Node& service, DraftService& out, Report& report);
/// The program at `key`, to be run by `user` of the same table.
Command decode_command(const Node& table, std::string_view key, Report& report);
/// What a server is asked, and what it must answer.
void decode_question(const Node& check, HealthCheck& out, Report& report);
DaemonSettings decode_daemon(const Node* table, Report& report);
/// Whether the file has that server; reports it.
bool names_server(const Names& servers, const std::string& name, Span at, Report& report);
/// `quic`: the table that has `cid`; the VIPs tell which families' addresses dpvs encodes.
DraftList<DraftCid> decode_cids(const Node& quic, const DraftList<model::IpAddress>& vips,
                                Report& report);
DraftService decode_service(const Names& servers, const Member& entry, Report& report);

}  // namespace lbctl::config
