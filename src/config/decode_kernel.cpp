// What a node sets once: [mptcp] and [ipvs].
#include <algorithm>
#include <bit>
#include <charconv>

#include "decode_parts.hpp"
#include "schema.hpp"

namespace lbctl::config {
namespace {

const KeySpec* find_key(std::string_view pattern) {
  const auto found = std::ranges::find(schema(), pattern, &KeySpec::pattern);
  return found == schema().end() ? nullptr : &*found;
}

/// As /proc/sys writes the list, so that it reads back alike: "0-3,8". Nothing if it is none.
std::optional<std::string> cpu_list(std::string_view text) {
  constexpr std::uint32_t most = 8191;  // CONFIG_NR_CPUS of distributions
  std::set<std::uint32_t> cpus;
  const auto number = [&text]() -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value > most) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
  };
  for (;;) {
    const auto first = number();
    auto last = first;
    if (first && text.starts_with('-')) {
      text.remove_prefix(1);
      last = number();
    }
    if (!first || !last || *last < *first) return std::nullopt;
    for (std::uint32_t cpu = *first; cpu <= *last; ++cpu)
      cpus.insert(cpu);
    if (text.empty()) break;
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
  }
  std::string out;
  for (auto it = cpus.begin(); it != cpus.end();) {
    const std::uint32_t first = *it;
    std::uint32_t last = first;
    for (++it; it != cpus.end() && *it == last + 1; ++it)
      last = *it;
    if (!out.empty()) out += ',';
    out += first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last);
  }
  return out;
}

std::optional<std::string> decode_cpus(const Node& node, Report& report) {
  auto cpus = cpu_list(node.text);
  if (!cpus)
    report.error(node.at, fmt::format("\"{}\" is not a list of CPUs", node.text),
                 "numbers and ranges of them: \"0-3,8\"");
  return cpus;
}

std::optional<std::string> decode_threshold(const Node& node, Range range, Report& report) {
  if (!std::ranges::all_of(node.items, [](const Node& item) { return item.is(Kind::integer); }))
    return std::nullopt;  // has been reported
  const std::string hint = "[FIRST, PERIOD], and FIRST below PERIOD, or PERIOD 0: [3, 50]";
  std::vector<std::int64_t> numbers;
  for (const Node& item : node.items)
    if (const auto number = decode_number(item, "sync_threshold", range, report))
      numbers.push_back(*number);
  if (numbers.size() != node.items.size()) return std::nullopt;
  if (numbers.size() != 2) {
    if (!numbers.empty()) report.error(node.at, "sync_threshold must be two numbers", hint);
    return std::nullopt;  // that it is empty has been reported
  }
  const std::int64_t first = numbers[0], period = numbers[1];
  if (period != 0 && first >= period) {
    report.error(node.at, fmt::format("no packet is number {} of {}", first, period), hint);
    return std::nullopt;
  }
  return fmt::format("{} {}", first, period);
}

/// The value as it is written below /proc/sys; nothing after an error.
std::optional<std::string> decode_value(const Member& entry, const KeySpec& spec, Report& report) {
  const Node& node = entry.value;
  switch (spec.shape) {
    case Shape::boolean:
      if (node.is(Kind::boolean)) return node.boolean ? "1" : "0";
      return std::nullopt;
    case Shape::duration:
      if (node.is(Kind::text))
        if (const auto seconds = decode_seconds(node, spec.range, report))
          return fmt::to_string(*seconds);
      return std::nullopt;
    case Shape::whole: {
      if (!node.is(Kind::integer)) return std::nullopt;
      const auto number = decode_number(node, entry.key, spec.range, report);
      if (!number) return std::nullopt;
      if (entry.key == "sync_ports" && !std::has_single_bit(static_cast<std::uint64_t>(*number))) {
        report.error(node.at, fmt::format("sync_ports {} is no power of 2", *number),
                     "1, 2, 4, 8, 16, 32 or 64");
        return std::nullopt;
      }
      return fmt::to_string(*number);
    }
    default:
      return std::nullopt;
  }
}

std::optional<std::string> decode_scheduler(const Node& node, Report& report) {
  constexpr std::size_t longest = 15;  // MPTCP_SCHED_NAME_MAX - 1
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!node.text.empty() && node.text.size() <= longest && std::ranges::all_of(node.text, allowed))
    return node.text;
  report.error(node.at, fmt::format("\"{}\" can't be the name of a scheduler", node.text),
               "1 to 15 letters and digits, such as \"default\"; sysctl "
               "net.mptcp.available_schedulers lists those of a node");
  return std::nullopt;
}

DraftSysctls decode_ipvs_sysctls(const Node& table, Report& report) {
  DraftSysctls out;
  for (const Member& entry : table.members) {
    const KeySpec* spec = find_key("ipvs.sysctl." + entry.key);
    if (spec == nullptr) continue;
    std::optional<std::string> value;
    if (spec->shape == Shape::text && entry.value.is(Kind::text)) {
      value = decode_cpus(entry.value, report);
    } else if (spec->shape == Shape::wholes && entry.value.is(Kind::list)) {
      value = decode_threshold(entry.value, spec->range, report);
    } else {
      value = decode_value(entry, *spec, report);
    }
    if (value) out["net/ipv4/vs/" + entry.key] = {*value, entry.key_at};
  }
  return out;
}

std::optional<model::IpAddress> decode_group(const Node& node, Report& report) {
  const auto group = model::IpAddress::parse(node.text);
  const bool multicast =
      group && (group->is_v4() ? group->octets()[0] >> 4 == 0xe : group->octets()[0] == 0xff);
  if (multicast) return group;
  report.error(node.at,
               group ? fmt::format("{} is no multicast address", group->text())
                     : fmt::format("\"{}\" is not an IP address", node.text),
               "such as \"224.0.0.81\" or \"ff02::81\"");
  return std::nullopt;
}

SyncSettings decode_sync(const Node& table, Report& report) {
  SyncSettings out;
  out.group = *model::IpAddress::parse("224.0.0.81");  // IP_VS_SYNC_GROUP
  const auto number = [&](std::string_view key, Range range, auto& value) {
    const Member* found = member(table, key, Kind::integer);
    if (!found) return;
    if (const auto read = decode_number(found->value, key, range, report))
      value = static_cast<std::remove_reference_t<decltype(value)>>(*read);
  };
  number("id", sync_id_range, out.id);
  number("maxlen", sync_maxlen_range, out.max_length);
  number("port", port_range, out.port);
  number("ttl", sync_ttl_range, out.ttl);
  if (const Member* found = member(table, "interface", Kind::text);
      found && check_interface(found->value, report))
    out.interface = found->value.text;
  if (const Member* found = member(table, "group", Kind::text))
    out.group = decode_group(found->value, report).value_or(out.group);
  return out;
}

}  // namespace

DraftIpvs decode_ipvs(const Node& table, Report& report) {
  DraftIpvs out;
  const auto seconds = [&](std::string_view key, std::uint32_t& value) {
    if (const Member* found = member(table, key, Kind::text))
      value = decode_seconds(found->value, ipvs_timeout_range, report).value_or(value);
  };
  seconds("timeout_tcp", out.timeouts.tcp);
  seconds("timeout_tcp_fin", out.timeouts.tcp_fin);
  seconds("timeout_udp", out.timeouts.udp);
  if (const Member* found = member(table, "sync", Kind::table))
    out.sync = {decode_sync(found->value, report), found->key_at};
  if (const Member* found = member(table, "sysctl", Kind::table))
    out.sysctls = decode_ipvs_sysctls(found->value, report);
  return out;
}

void decode_mptcp(const Member& entry, Draft& out, Report& report) {
  Spanned<model::MptcpLimits> limits{{}, entry.key_at};
  bool named = false;
  const auto limit = [&](const Member& found, std::uint32_t& value) {
    named = true;
    if (!found.value.is(Kind::integer)) return;
    const auto number = decode_number(found.value, found.key, mptcp_limit_range, report);
    if (number) value = static_cast<std::uint32_t>(*number);
    if (found.key == "subflows") limits.at = found.value.at;
  };
  out.mptcp = entry.key_at;
  for (const Member& found : entry.value.members) {
    const KeySpec* spec = find_key("mptcp." + found.key);
    if (spec == nullptr) continue;
    if (found.key == "subflows") {
      limit(found, limits.value.subflows);
    } else if (found.key == "add_addr_accepted") {
      limit(found, limits.value.add_addr_accepted);
    } else {
      const auto value = found.key == "scheduler" && found.value.is(Kind::text)
                             ? decode_scheduler(found.value, report)
                             : decode_value(found, *spec, report);
      const std::string name = found.key == "checksum" ? "checksum_enabled" : found.key;
      if (value) out.mptcp_sysctls["net/mptcp/" + name] = {*value, found.key_at};
    }
  }
  if (named) out.limits = limits;
}

}  // namespace lbctl::config
