// What a health check asks of a server, and what it takes for a right answer.
#include <regex.h>

#include <algorithm>
#include <array>

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
    case CheckType::udp:
      return "udp";
    case CheckType::dns:
      return "dns";
    case CheckType::quic:
      return "quic";
    case CheckType::exec:
      return "exec";
    case CheckType::agent:
      return "agent";
  }
  return "unknown";
}

namespace {

/// One datagram, also over IPv6's least MTU.
constexpr std::size_t most_payload = 1200;
constexpr std::size_t most_label = 63, most_name = 255;  // RFC 1035, 3.1
constexpr std::size_t most_alpn = 255;                   // RFC 7301, 3.1

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

enum class Method : std::uint8_t { get, head, options };
std::string_view name(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::options:
      return "OPTIONS";
  }
  return "unknown";
}

/// A field's name (RFC 9110, 5.1).
bool is_token(std::string_view text) {
  return is_plain(text) && text.find_first_of("\"(),/:;<=>?@[\\]{}") == std::string_view::npos;
}

/// Empty if `pattern` is a POSIX extended regular expression.
std::string wrong_pattern(const std::string& pattern) {
  regex_t compiled;
  const int wrong = ::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB);
  if (wrong == 0) {
    ::regfree(&compiled);
    return "";
  }
  std::array<char, 128> why{};
  ::regerror(wrong, &compiled, why.data(), why.size());
  return why.data();
}

void decode_header(const Node& table, HealthCheck::Http& http, Report& report) {
  const Member* found = member(table, "header", Kind::text);
  if (!found) return;
  const std::string& text = found->value.text;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || !is_token(text.substr(0, colon))) {
    report.error(found->value.at, fmt::format("\"{}\" names no header field", text),
                 "header = \"Content-Type: ^application/json\"");
    return;
  }
  http.header = text.substr(0, colon);
  const std::size_t begin = text.find_first_not_of(' ', colon + 1);
  http.pattern = begin == std::string::npos ? "" : text.substr(begin);
  const std::string why = text.contains('\0') ? "it holds a zero" : wrong_pattern(http.pattern);
  if (!why.empty())
    report.error(found->value.at,
                 fmt::format("\"{}\" is no regular expression: {}", http.pattern, why),
                 "POSIX extended, as of grep -E");
}

void decode_http(const Node& table, HealthCheck::Http& http, Report& report) {
  if (const Member* found = member(table, "method", Kind::text))
    if (const auto known =
            one_of(found->value, "method", {Method::get, Method::head, Method::options}, report))
      http.method = name(*known);
  http_text(table, "path", http.path, report);
  http_text(table, "host", http.host, report);
  decode_count(table, "status", http_status_range, http.status, report);
  decode_header(table, http, report);
  const Member* body = member(table, "body", Kind::text);
  if (!body) return;
  http.body = body->value.text;
  if (http.method == "HEAD")
    report.error(body->key_at, "body has no effect with method \"HEAD\"",
                 "an answer to HEAD has none");
}

enum class TlsVersion : std::uint8_t { v12, v13 };
std::string_view name(TlsVersion version) {
  return version == TlsVersion::v12 ? "1.2" : "1.3";
}

void decode_tls(const Node& table, HealthCheck::Tls& tls, Report& report) {
  if (const Member* found = member(table, "verify", Kind::boolean))
    tls.verify = found->value.boolean;
  http_text(table, "tls_name", tls.name, report);
  if (const Member* found = member(table, "ca_file", Kind::text)) {
    tls.ca_file = found->value.text;
    if (!tls.ca_file.starts_with('/'))
      report.error(found->value.at, fmt::format("\"{}\" is no absolute path", tls.ca_file),
                   "the daemon runs in no folder of yours");
    if (!tls.verify)
      report.error(found->key_at, "ca_file has no effect with verify = false",
                   "leave one of them out");
  }
  if (const Member* found = member(table, "min_tls", Kind::text))
    if (const auto known =
            one_of(found->value, "min_tls", {TlsVersion::v12, TlsVersion::v13}, report))
      tls.only_13 = known == TlsVersion::v13;
}

void decode_quic(const Node& table, HealthCheck::Quic& quic, Report& report) {
  if (const Member* found = member(table, "handshake", Kind::boolean))
    quic.handshake = found->value.boolean;
  const Member* alpn = member(table, "alpn", Kind::text);
  if (!alpn) return;
  quic.alpn = alpn->value.text;
  if (quic.alpn.empty() || quic.alpn.size() > most_alpn)
    report.error(alpn->value.at, fmt::format("\"{}\" can't be a protocol's name", quic.alpn),
                 "1 to 255 octets: \"h3\"");
}

std::optional<std::string> from_hex(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto value = [&](char c) {
      return digits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
    };
    const std::size_t high = value(text[i]), low = value(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high << 4U | low);
  }
  return text.size() % 2 == 0 ? std::optional(out) : std::nullopt;
}

/// Of a key for text and one for octets at most one.
std::optional<std::string> decode_octets(const Node& table, std::string_view key, Report& report) {
  const Member* text = member(table, key, Kind::text);
  const std::string hex_key = fmt::format("{}_hex", key);
  const Member* hex = member(table, hex_key, Kind::text);
  if (text && hex)
    report.error(hex->key_at, fmt::format("{} and {}: which?", key, hex_key),
                 "leave one of them out");
  if (!text && !hex) return std::nullopt;
  const Node& value = text ? text->value : hex->value;
  std::optional<std::string> out = text ? value.text : from_hex(value.text);
  if (!out) {
    report.error(value.at, fmt::format("\"{}\" are no octets in hexadecimal", value.text),
                 "two digits for each: \"0a1b\"");
  } else if (out->size() > most_payload) {
    report.error(value.at, fmt::format("{} octets are too many", out->size()),
                 fmt::format("at most {}", most_payload));
  }
  return out;
}

void decode_datagram(const Node& table, HealthCheck::Datagram& datagram, Report& report) {
  datagram.send = decode_octets(table, "send", report).value_or("");
  datagram.expect = decode_octets(table, "expect", report);
}

/// As in a message; nothing if no server could be asked for it.
std::optional<std::string> wire_name(std::string_view name) {
  std::string out;
  if (name.ends_with('.')) name.remove_suffix(1);
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (!is_plain(label) || label.size() > most_label) return std::nullopt;
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(label.size());
    if (name.starts_with('.'))
      name.remove_prefix(1);
    else if (!name.empty())
      return std::nullopt;
  }
  out += '\0';
  return out.size() <= most_name ? std::optional(out) : std::nullopt;
}

/// Types of resource records with their numbers (RFC 1035, 3.2.2; 3596; 2782; 8659).
enum class Record : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  mx = 15,
  txt = 16,
  aaaa = 28,
  srv = 33
};
std::string_view name(Record record) {
  switch (record) {
    case Record::a:
      return "A";
    case Record::ns:
      return "NS";
    case Record::cname:
      return "CNAME";
    case Record::soa:
      return "SOA";
    case Record::ptr:
      return "PTR";
    case Record::mx:
      return "MX";
    case Record::txt:
      return "TXT";
    case Record::aaaa:
      return "AAAA";
    case Record::srv:
      return "SRV";
  }
  return "unknown";
}

void decode_dns(const Node& table, HealthCheck::Dns& dns, Report& report) {
  if (const Member* found = member(table, "query", Kind::text)) {
    const auto wire = wire_name(found->value.text);
    if (!wire)
      report.error(found->value.at, fmt::format("\"{}\" is no domain name", found->value.text),
                   "labels of 1 to 63 octets, 253 in all");
    dns.name = wire.value_or("");
  }
  if (const Member* found = member(table, "record", Kind::text))
    if (const auto known = one_of(found->value, "record",
                                  {Record::a, Record::aaaa, Record::cname, Record::mx, Record::ns,
                                   Record::ptr, Record::soa, Record::srv, Record::txt},
                                  report))
      dns.record = static_cast<std::uint16_t>(*known);
}

bool is_user_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && name.front() != '-' &&
         name.find_first_of(":/") == std::string_view::npos && is_plain(name);
}

/// What a type can't do without, and what it can't be combined with.
void check_whole(const Node& table, const HealthCheck& check, Report& report) {
  const Member* type = table.find("type");
  const Member* via = table.find("via");
  const auto lacks = [&](std::string_view key, std::string_view example) {
    if (!table.find(key))
      report.error(type->value.at, fmt::format("type \"{}\" needs {}", name(check.type), key),
                   std::string(example));
  };
  if (check.type == CheckType::exec) {
    lacks("command", "command = [\"/usr/local/lib/lbctl/check-web\"]");
    if (via && check.through_vip)
      report.error(via->key_at, "via = \"vip\" has no effect with type \"exec\"",
                   "the program chooses its way itself");
  }
  if (check.type == CheckType::quic && !check.quic.handshake)
    for (const std::string_view key : {"alpn", "verify", "ca_file", "tls_name"})
      if (const Member* found = table.find(key))
        report.error(found->key_at, fmt::format("{} has no effect without handshake = true", key));
  if (check.type == CheckType::agent) lacks("port", "port = 9777 (where the agents listen)");
}

/// Keys that mean something with some types only.
struct Fitting {
  std::string_view key;
  std::initializer_list<CheckType> types;
};
constexpr auto http_types = {CheckType::http, CheckType::https};
constexpr auto https_types = {CheckType::https};
constexpr auto tls_types = {CheckType::https, CheckType::quic};
constexpr auto quic_types = {CheckType::quic};
constexpr auto udp_types = {CheckType::udp};
constexpr auto sending_types = {CheckType::udp, CheckType::agent};
constexpr auto exec_types = {CheckType::exec};
constexpr auto dns_types = {CheckType::dns};
constexpr std::array fittings = {
    Fitting{"method", http_types},    Fitting{"path", http_types},
    Fitting{"host", http_types},      Fitting{"status", http_types},
    Fitting{"header", http_types},    Fitting{"body", http_types},
    Fitting{"verify", tls_types},     Fitting{"ca_file", tls_types},
    Fitting{"tls_name", tls_types},   Fitting{"min_tls", https_types},
    Fitting{"handshake", quic_types}, Fitting{"alpn", quic_types},
    Fitting{"send", sending_types},   Fitting{"send_hex", sending_types},
    Fitting{"expect", udp_types},     Fitting{"expect_hex", udp_types},
    Fitting{"query", dns_types},      Fitting{"record", dns_types},
    Fitting{"command", exec_types},   Fitting{"user", exec_types},
};

void check_fitting_keys(const Node& table, CheckType type, Report& report) {
  for (const auto& [key, types] : fittings) {
    const Member* found = table.find(key);
    if (!found || std::ranges::find(types, type) != types.end()) continue;
    std::string where;
    for (const CheckType fitting : types)
      where += fmt::format("{}\"{}\"", where.empty() ? "" : " and ", name(fitting));
    report.error(found->key_at, fmt::format("{} has no effect with type \"{}\"", key, name(type)),
                 "it is for " + where);
  }
}

}  // namespace

Command decode_command(const Node& table, std::string_view key, Report& report) {
  Command out;
  if (const Member* found = member(table, key, Kind::list)) {
    for (const Node& word : found->value.items) {
      if (word.text.contains('\0')) report.error(word.at, "a program's argument can't hold a zero");
      out.words.push_back(word.text);
    }
    if (!out.words.empty() && !out.words.front().starts_with('/'))
      report.error(found->value.items.front().at,
                   fmt::format("\"{}\" is no absolute path", out.words.front()),
                   "programs are not looked for, and no shell runs them");
  }
  const Member* user = member(table, "user", Kind::text);
  if (!user) return out;
  out.user = user->value.text;
  if (!is_user_name(out.user))
    report.error(user->value.at, fmt::format("\"{}\" can't be a user's name", out.user));
  return out;
}

void decode_question(const Node& check, HealthCheck& out, Report& report) {
  if (const Member* found = member(check, "type", Kind::text))
    out.type =
        one_of(found->value, "type",
               {CheckType::tcp, CheckType::http, CheckType::https, CheckType::mptcp, CheckType::udp,
                CheckType::dns, CheckType::quic, CheckType::exec, CheckType::agent},
               report)
            .value_or(out.type);
  decode_http(check, out.http, report);
  decode_tls(check, out.tls, report);
  decode_quic(check, out.quic, report);
  decode_datagram(check, out.datagram, report);
  decode_dns(check, out.dns, report);
  out.command = decode_command(check, "command", report);
  check_fitting_keys(check, out.type, report);
  check_whole(check, out, report);
}

}  // namespace lbctl::config
