// The file's top level.
#include "decode_parts.hpp"

namespace lbctl::config {
namespace {

void decode_drain(const Node& table, model::Patience& out, Report& report) {
  const auto seconds = [&](std::string_view key, std::uint32_t& value) {
    if (const Member* found = member(table, key, Kind::text))
      value = decode_seconds(found->value, patience_range, report).value_or(value);
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
  // Also for what no table takes: a default is wrong where it stands.
  each_named(root, "defaults", [&](const Member& entry) {
    if (entry.key == "director") decode_director(entry, report);
    if (entry.key == "server") decode_server(entry, report);
    if (entry.key == "service") decode_service(servers, entry, report);
  });
  if (const Member* found = member(root, "mptcp", Kind::table)) decode_mptcp(*found, out, report);
  if (const Member* found = member(root, "ipvs", Kind::table))
    out.ipvs = decode_ipvs(found->value, report);
  const Member* daemon = member(root, "daemon", Kind::table);
  out.daemon = decode_daemon(daemon ? &daemon->value : nullptr, report);
  if (const Member* found = member(root, "drain", Kind::table))
    decode_drain(found->value, out.drain, report);
  return out;
}

}  // namespace lbctl::config
