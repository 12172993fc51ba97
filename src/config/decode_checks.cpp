// Health checks and quorum of a service: values for the daemon.
#include <algorithm>

#include "decode_parts.hpp"

namespace lbctl::config {

std::string_view name(CheckType type) {
  switch (type) {
    case CheckType::tcp:
      return "tcp";
    case CheckType::http:
      return "http";
    case CheckType::https:
      return "https";
    case CheckType::mptcp:
      return "mptcp";
    case CheckType::quic:
      return "quic";
    case CheckType::ping:
      return "ping";
  }
  return "unknown";
}

namespace {

template <class T>
void number(const Node& table, std::string_view key, Range range, T& value, Report& report) {
  const Member* found = member(table, key, Kind::integer);
  if (!found) return;
  const auto decoded = decode_number(found->value, key, range, report);
  if (decoded) value = static_cast<T>(*decoded);
}

void duration(const Node& table, std::string_view key, Range range, std::uint32_t& value,
              Report& report) {
  if (const Member* found = member(table, key, Kind::text))
    value = decode_seconds(found->value, range, report).value_or(value);
}

/// What goes into the request line and a header as it stands.
bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

void http_text(const Node& table, std::string_view key, std::string& value, Report& report) {
  const Member* found = member(table, key, Kind::text);
  if (!found) return;
  value = found->value.text;
  if (!is_plain(value) || (key == "path" && !value.starts_with('/'))) {
    report.error(found->value.at, fmt::format("\"{}\" can't be the {} of a request", value, key),
                 key == "path" ? "\"/\" and printable ASCII without blanks"
                               : "printable ASCII without blanks");
  }
}

/// What of the service the question is put to.
bool fits(CheckType type, const DraftService& service) {
  switch (type) {
    case CheckType::mptcp:
      return service.has(Protocol::mptcp);
    case CheckType::quic:
      return service.has(Protocol::quic);
    default:
      return true;
  }
}

}  // namespace

std::optional<Spanned<HealthCheck>> decode_check(const Node& service, Report& report) {
  const Member* entry = member(service, "check", Kind::table);
  if (!entry) return std::nullopt;
  const Node& table = entry->value;
  HealthCheck check;
  if (const Member* found = member(table, "type", Kind::text)) {
    check.type = one_of(found->value, "type",
                        {CheckType::tcp, CheckType::http, CheckType::https, CheckType::mptcp,
                         CheckType::quic, CheckType::ping},
                        report)
                     .value_or(check.type);
  }
  number(table, "port", port_range, check.port, report);
  duration(table, "interval", check_interval_range, check.interval, report);
  duration(table, "timeout", check_timeout_range, check.timeout, report);
  number(table, "rise", check_count_range, check.rise, report);
  number(table, "fall", check_count_range, check.fall, report);
  http_text(table, "path", check.path, report);
  http_text(table, "host", check.host, report);
  number(table, "status", http_status_range, check.status, report);
  if (check.timeout > check.interval) {
    report.error(
        entry->key_at,
        fmt::format("timeout {}s is longer than interval {}s", check.timeout, check.interval),
        "a question is answered or given up before the next");
  }
  const bool http = check.type == CheckType::http || check.type == CheckType::https;
  for (const std::string_view key : {"path", "host", "status"}) {
    const Member* found = table.find(key);
    if (found && !http)
      report.error(found->key_at,
                   fmt::format("{} has no effect with type \"{}\"", key, name(check.type)),
                   "it is for \"http\" and \"https\"");
  }
  return Spanned<HealthCheck>{std::move(check), entry->key_at};
}

std::optional<Spanned<Quorum>> decode_quorum(const Node& service, Report& report) {
  const Member* entry = member(service, "quorum", Kind::table);
  if (!entry) return std::nullopt;
  Quorum quorum;
  number(entry->value, "up", quorum_range, quorum.up, report);
  number(entry->value, "hysteresis", hysteresis_range, quorum.hysteresis, report);
  if (quorum.hysteresis >= quorum.up) {
    report.error(
        entry->key_at,
        fmt::format("hysteresis {} leaves nothing of a quorum of {}", quorum.hysteresis, quorum.up),
        "the quorum is lost below up - hysteresis");
  }
  return Spanned<Quorum>{quorum, entry->key_at};
}

void check_health(const Draft& draft, Report& report) {
  constexpr const char* daemon = "health checks are made by `lbctl daemon`: leave the table out";
  for (const DraftService& service : draft.services) {
    if (service.check && service.protocols.whole && !fits(service.check->value.type, service)) {
      const std::string_view type = name(service.check->value.type);
      report.error(service.check->at,
                   fmt::format("type \"{}\", but service {} has no {}", type, service.name, type),
                   "\"tcp\" and \"ping\" fit every service");
    }
    if (service.check)
      report.warning(service.check->at, "this has no effect yet: this version has no daemon",
                     daemon);
    if (service.quorum)
      report.warning(service.quorum->at, "this has no effect yet: this version has no daemon",
                     daemon);
  }
}

}  // namespace lbctl::config
