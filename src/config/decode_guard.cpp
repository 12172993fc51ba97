// The guard of a service.
#include "decode_parts.hpp"

namespace lbctl::config {

DraftRate decode_limit(const Node& table, Report& report) {
  DraftRate out;
  if (const Member* found = member(table, "syn_rate", Kind::text)) {
    if (const auto rate = decode_rate(found->value, rate_range, report))
      out.rate = {*rate, found->value.at};
    else
      out.whole = false;
  }
  if (const Member* found = member(table, "syn_burst", Kind::integer)) {
    if (const auto burst = decode_number(found->value, "syn_burst", rate_range, report))
      out.burst = {static_cast<std::uint32_t>(*burst), found->value.at};
    else
      out.whole = false;
  }
  return out;
}

namespace {

void decode_prefix(const Node& table, std::string_view key, Range range, std::uint8_t& out,
                   Report& report) {
  if (const Member* found = member(table, key, Kind::integer))
    out = static_cast<std::uint8_t>(decode_number(found->value, key, range, report).value_or(out));
}

}  // namespace

void decode_guard(const Member& entry, DraftService& out, Report& report) {
  const Node& table = entry.value;
  DraftGuard& guard = out.guard;
  guard.at = entry.key_at;
  guard.syn = decode_limit(table, report);
  if (const Member* found = member(table, "mptcp_only", Kind::boolean))
    guard.mptcp_only = {found->value.boolean, found->value.at};
  if (const Member* found = member(table, "sources", Kind::table)) {
    guard.sources = found->key_at;
    decode_prefix(found->value, "ipv4", netmask_v4_range, guard.prefix_v4, report);
    decode_prefix(found->value, "ipv6", netmask_v6_range, guard.prefix_v6, report);
  }
}

}  // namespace lbctl::config
