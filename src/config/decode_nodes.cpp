// Directors and servers.
#include "decode_parts.hpp"

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

DraftList<model::IpAddress> decode_addresses(const Node& table, Span at, std::string_view key,
                                             Report& report) {
  return decode_list<model::IpAddress>(table, at, key, Kind::text, report, [&](const Node& node) {
    return decode_address(node, report);
  });
}

namespace {

std::optional<std::string> interface_name(const Node& node, Report& report) {
  return check_interface(node, report) ? std::optional(node.text) : std::nullopt;
}

std::optional<model::ServerId> decode_server_id(const Node& node, Report& report) {
  std::optional<model::ServerId> out;
  if (node.is(Kind::text)) {
    out = node.text.starts_with("0x") ? model::ServerId::parse(node.text) : std::nullopt;
    if (!out)
      report.error(node.at, fmt::format("\"{}\" is no server id", node.text),
                   "write a whole number, or 0x and at most 30 hexadecimal digits in quotes");
  } else if (node.is(Kind::integer) && node.integer == 0) {
    out = model::ServerId{};
  } else if (node.is(Kind::integer)) {
    if (const auto number = decode_number(node, "id", server_id_range, report))
      out = model::ServerId{static_cast<std::uint64_t>(*number)};
  }
  if (!out || !out->is_zero()) return out;
  report.error(node.at, "id 0 names no server",
               "a connection ID of zeros must not lead anywhere; start with 1");
  return std::nullopt;
}

std::optional<std::string> unit_name(const Node& node, Report& report) {
  const std::string_view trouble = model::unit_name_trouble(node.text);
  if (trouble.empty()) return node.text;
  report.error(node.at, fmt::format("\"{}\" {}", node.text, trouble),
               "write the whole name of a systemd service: mptcpize = [\"nginx.service\"]");
  return std::nullopt;
}

Spanned<std::string> decode_interface(const Node& table, Report& report) {
  const Member* found = member(table, "interface", Kind::text);
  if (!found || !check_interface(found->value, report)) return {};
  return {found->value.text, found->value.at};
}

}  // namespace

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
  out.sync = decode_list<model::SyncRole>(
      table, entry.key_at, "sync", Kind::text, report, [&](const Node& node) {
        return one_of(node, "sync role", {model::SyncRole::master, model::SyncRole::backup},
                      report);
      });
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
  if (const Member* found = member(table, "xdp_mode", Kind::text)) {
    using enum model::XdpMode;
    out.xdp_mode = one_of(found->value, "xdp_mode", {automatic, native, generic}, report)
                       .value_or(out.xdp_mode);
  }
  if (const Member* found = member(table, "steer", Kind::text))
    out.steer =
        one_of(found->value, "steer", {Steer::l2, Steer::tunnel}, report).value_or(out.steer);
  out.mptcpize =
      decode_list<std::string>(table, entry.key_at, "mptcpize", Kind::text, report,
                               [&](const Node& node) { return unit_name(node, report); });
  if (const Member* found = table.find("id")) {
    if (const auto id = decode_server_id(found->value, report)) out.id = {*id, found->value.at};
  }
  return out;
}

}  // namespace lbctl::config
