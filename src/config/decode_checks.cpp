// What the daemon needs to know: health checks and quorum of a service, its own table.
#include <charconv>

#include "decode_parts.hpp"

namespace lbctl::config {

namespace {

void duration(const Node& table, std::string_view key, Range range, std::uint32_t& value,
              Report& report) {
  if (const Member* found = member(table, key, Kind::text))
    value = decode_seconds(found->value, range, report).value_or(value);
}

constexpr model::Port default_metrics_port{9476};

/// "192.0.2.1:80", "[2001:db8::1]:80".
std::optional<std::pair<model::IpAddress, model::Port>> decode_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = model::IpAddress::parse(host);
  std::uint16_t port = 0;
  const auto [end, wrong] = std::from_chars(digits.begin(), digits.end(), port);
  if (!address || address->is_v4() == bracketed || wrong != std::errc{} || end != digits.end() ||
      port == 0)
    return std::nullopt;
  return std::pair(*address, model::Port{port});
}

enum class Start : std::uint8_t { up, down };
std::string_view name(Start start) {
  return start == Start::up ? "up" : "down";
}
enum class CheckVia : std::uint8_t { address, vip };
std::string_view name(CheckVia via) {
  return via == CheckVia::vip ? "vip" : "address";
}
enum class OnFailure : std::uint8_t { remove, drain };
std::string_view name(OnFailure what) {
  return what == OnFailure::remove ? "remove" : "drain";
}
Spanned<HealthCheck> decode_check(const Member& entry, Report& report) {
  const Node& table = entry.value;
  HealthCheck check;
  if (const Member* found = member(table, "via", Kind::text))
    check.through_vip =
        one_of(found->value, "via", {CheckVia::address, CheckVia::vip}, report) == CheckVia::vip;
  decode_count(table, "port", port_range, check.port, report);
  duration(table, "interval", check_interval_range, check.interval, report);
  duration(table, "timeout", check_timeout_range, check.timeout, report);
  duration(table, "max_interval", check_interval_range, check.max_interval, report);
  decode_count(table, "rise", check_count_range, check.rise, report);
  decode_count(table, "fall", check_count_range, check.fall, report);
  if (const Member* found = member(table, "start", Kind::text))
    if (const auto start = one_of(found->value, "start", {Start::up, Start::down}, report))
      check.starts_up = start == Start::up;
  duration(table, "hold_down", hold_down_range, check.hold_down, report);
  decode_question(table, check, report);
  if (check.timeout > check.interval) {
    report.error(
        entry.key_at,
        fmt::format("timeout {}s is longer than interval {}s", check.timeout, check.interval),
        "a question is answered or given up before the next");
  }
  if (check.max_interval != 0 && check.max_interval < check.interval)
    report.error(entry.key_at, fmt::format("max_interval {}s is shorter than interval {}s",
                                           check.max_interval, check.interval));
  return {std::move(check), entry.key_at};
}

HealthPolicy decode_policy(const Node& table, Report& report) {
  HealthPolicy out;
  if (const Member* found = member(table, "on_failure", Kind::text))
    if (const auto known =
            one_of(found->value, "on_failure", {OnFailure::remove, OnFailure::drain}, report))
      out.remove = known == OnFailure::remove;
  duration(table, "slow_start", hold_down_range, out.slow_start, report);
  decode_count(table, "fail_open", percent_range, out.fail_open, report);
  return out;
}

std::optional<Spanned<Quorum>> decode_quorum(const Node& service, Report& report) {
  const Member* entry = member(service, "quorum", Kind::table);
  if (!entry) return std::nullopt;
  Quorum quorum;
  decode_count(entry->value, "up", quorum_range, quorum.up, report);
  decode_count(entry->value, "hysteresis", hysteresis_range, quorum.hysteresis, report);
  if (quorum.hysteresis >= quorum.up) {
    report.error(
        entry->key_at,
        fmt::format("hysteresis {} leaves nothing of a quorum of {}", quorum.hysteresis, quorum.up),
        "the quorum is lost below up - hysteresis");
  }
  quorum.up_command = decode_command(entry->value, "up_command", report);
  quorum.down_command = decode_command(entry->value, "down_command", report);
  if (const Member* user = entry->value.find("user");
      user && quorum.up_command.words.empty() && quorum.down_command.words.empty())
    report.error(user->key_at, "user has no effect without up_command or down_command");
  return Spanned<Quorum>{quorum, entry->key_at};
}

}  // namespace

void decode_health(const Names& servers, const Node& service, DraftService& out, Report& report) {
  if (const Member* found = member(service, "check", Kind::table)) {
    out.check = decode_check(*found, report);
    out.health = decode_policy(found->value, report);
  }
  out.quorum = decode_quorum(service, report);
  if (const Member* found = member(service, "track", Kind::text))
    out.track = {found->value.text, found->value.at};
  if (const Member* found = member(service, "sorry_server", Kind::text))
    if (names_server(servers, found->value.text, found->value.at, report))
      out.sorry_server = {found->value.text, found->value.at};
}

DaemonSettings decode_daemon(const Node* table, Report& report) {
  DaemonSettings out;
  out.metrics = {*model::IpAddress::parse("127.0.0.1"), default_metrics_port};
  if (!table) return out;
  if (const Member* found = member(*table, "metrics", Kind::text)) {
    out.metrics = decode_endpoint(found->value.text);
    if (!out.metrics && found->value.text != "off")
      report.error(found->value.at,
                   fmt::format("\"{}\" is no address with a port", found->value.text),
                   "\"127.0.0.1:9476\", \"[::1]:9476\" or \"off\"");
  }
  if (const Member* found = member(*table, "group", Kind::text)) {
    out.group = found->value.text;
    check_name(out.group, found->value.at, "group", report);
  }
  duration(*table, "reconcile", reconcile_range, out.reconcile, report);
  if (const Member* found = member(*table, "watch", Kind::boolean))
    out.watch = found->value.boolean;
  return out;
}

}  // namespace lbctl::config
