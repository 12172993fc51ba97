// What IPVS knows of a service besides scheduler and persistence: how its packets travel, and the
// limits of its servers.
#include "decode_parts.hpp"

namespace lbctl::config {
namespace {

using model::Forward;
using model::TunnelChecksum;
using model::TunnelType;

template <class T>
std::optional<Spanned<T>> number_of(const Node& table, std::string_view key, Range range,
                                    Report& report) {
  const Member* found = member(table, key, Kind::integer);
  if (!found) return std::nullopt;
  const auto value = decode_number(found->value, key, range, report);
  if (!value) return std::nullopt;
  return Spanned<T>{static_cast<T>(*value), found->value.at};
}

DraftLimits decode_limits(const Node& table, Report& report) {
  DraftLimits out;
  out.upper = number_of<std::uint32_t>(table, "uthreshold", threshold_range, report);
  out.lower = number_of<std::uint32_t>(table, "lthreshold", threshold_range, report);
  out.whole = (out.upper || !table.find("uthreshold")) && (out.lower || !table.find("lthreshold"));
  return out;
}

DraftTunnel decode_tunnel(const Member& entry, Report& report) {
  DraftTunnel out;
  out.at = entry.key_at;
  if (const Member* found = member(entry.value, "type", Kind::text)) {
    const auto type =
        one_of(found->value, "type", {TunnelType::ipip, TunnelType::gue, TunnelType::gre}, report);
    out.whole = out.whole && type;
    out.type = type.value_or(out.type);
  }
  out.port = number_of<std::uint16_t>(entry.value, "port", port_range, report);
  if (const Member* found = member(entry.value, "checksum", Kind::text)) {
    const auto checksum =
        one_of(found->value, "checksum",
               {TunnelChecksum::none, TunnelChecksum::full, TunnelChecksum::remote}, report);
    out.whole = out.whole && checksum;
    out.checksum = {checksum.value_or(TunnelChecksum::none), found->value.at};
  }
  return out;
}

void decode_netmask(const Member& entry, DraftService& out, Report& report) {
  const Node& table = entry.value;
  out.netmask = entry.key_at;
  out.netmask_v4 = number_of<std::uint8_t>(table, "ipv4", netmask_v4_range, report);
  out.netmask_v6 = number_of<std::uint8_t>(table, "ipv6", netmask_v6_range, report);
}

}  // namespace

bool decode_use(const Node& node, DraftUse& out, Report& report) {
  if (node.is(Kind::integer)) {
    const auto weight = decode_number(node, "weight", weight_range, report);
    if (weight) out.weight = static_cast<std::uint16_t>(*weight);
    return weight.has_value();
  }
  if (!node.is(Kind::table)) return false;
  const std::size_t before = report.errors();
  if (const auto weight = number_of<std::uint16_t>(node, "weight", weight_range, report))
    out.weight = weight->value;
  out.port = number_of<std::uint16_t>(node, "port", port_range, report);
  out.limits = decode_limits(node, report);
  return report.errors() == before;
}

void decode_forward(const Node& table, DraftService& out, Report& report) {
  out.forward.at = out.at;
  out.forward_known = table.find("forward") == nullptr;
  if (const Member* found = member(table, "forward", Kind::text)) {
    out.forward.at = found->value.at;
    const auto forward = one_of(found->value, "forward",
                                {Forward::route, Forward::masquerade, Forward::tunnel}, report);
    out.forward_known = forward.has_value();
    if (forward) out.forward.value = *forward;
  }
  if (const Member* found = member(table, "tunnel", Kind::table))
    out.tunnel = decode_tunnel(*found, report);
  out.server_port = number_of<std::uint16_t>(table, "server_port", port_range, report);
  out.limits = decode_limits(table, report);
  if (const Member* found = member(table, "one_packet", Kind::boolean))
    out.one_packet = {found->value.boolean, found->value.at};
  if (const Member* found = member(table, "notrack", Kind::boolean))
    out.notrack = {found->value.boolean, found->value.at};
  if (const Member* found = member(table, "persistence_netmask", Kind::table))
    decode_netmask(*found, out, report);
}

}  // namespace lbctl::config
