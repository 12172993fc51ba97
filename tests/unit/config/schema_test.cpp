// What the schema table says of a key is what the reader does: ranges, words, and what leaving a
// key out means. A file is made for each key that has any of them.
#include "schema.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <sstream>
#include <vector>

#include "files.hpp"

using namespace lbctl::config;

namespace {

constexpr const char* base = R"(
[directors.d]
address = ["192.0.2.10", "2001:db8::10"]
interface = "eth0"
[servers.s]
address = ["192.0.2.11", "2001:db8::11"]
interface = "eth0"
signal = ["192.0.2.111", "2001:db8::111"]
)";

/// What else a key needs to be worth anything, and what its rules want beside it.
const std::map<std::string_view, std::string_view> beside = {
    {"services.*.check.interval", "timeout = \"1s\"\n"},
    {"services.*.check.timeout", "interval = \"1h\"\n"},
    {"services.*.check.status", "type = \"http\"\n"},
    {"services.*.check.user", "type = \"exec\"\ncommand = [\"/bin/true\"]\n"},
    {"services.*.quorum.hysteresis", "up = 1000000\n"},
    {"services.*.quorum.user", "up_command = [\"/bin/true\"]\n"},
    {"services.*.tunnel.port", "type = \"gue\"\n"},
    {"services.*.tunnel.checksum", "type = \"gue\"\n"},
};

/// The type of check to which its key means something.
const std::map<std::string, std::string_view> check_of = {
    {"path", "type = \"http\"\n"},
    {"method", "type = \"http\"\n"},
    {"verify", "type = \"https\"\n"},
    {"min_tls", "type = \"https\"\n"},
    {"query", "type = \"dns\"\n"},
    {"record", "type = \"dns\"\n"},
    {"alpn", "type = \"quic\"\nhandshake = true\n"},
};

/// What its service must say for a table of it to mean something.
const std::map<std::string_view, std::string_view> in_service = {
    {"[services.s.persistence_netmask]\n", "persistence_timeout = \"5m\"\n"},
    {"[services.s.tunnel]\n", "forward = \"tunnel\"\n"},
};

/// The scheme of connection IDs to which the key means something.
std::string_view scheme_with(std::string_view key) {
  if (key == "version") return "katran";
  return key == "offset" || key == "length" ? "raw" : "quic-lb";
}

/// Beyond these a rule between values takes over, or the reader names the value in its own words.
bool left_to_other_tests(std::string_view pattern) {
  return pattern == "services.*.quic.cid.nonce_length" || pattern == "services.*.quorum.hysteresis";
}

std::vector<std::string> parts_of(std::string_view pattern) {
  std::vector<std::string> out;
  std::istringstream stream{std::string(pattern)};
  for (std::string part; std::getline(stream, part, '.');)
    out.push_back(part);
  return out;
}

/// The file with this value at that key; the other required keys of its tables are there.
std::string file_with(const KeySpec& spec, const std::string& value) {
  std::vector<std::string> parts = parts_of(spec.pattern);
  for (std::string& part : parts)
    if (part == "*") part = parts.front() == "directors" ? "d" : "s";
  const auto is = [&](std::string_view pattern) { return spec.pattern == pattern; };
  std::string out = base;
  if (!is("servers.*.id")) out += "id = 1\n";
  std::string service = "[services.s]\nvip = [\"192.0.2.100\", \"2001:db8::100\"]\n";
  if (!is("services.*.ports")) service += "ports = [80]\n";
  const bool tunnel = spec.pattern.starts_with("services.*.tunnel.");
  if (!is("services.*.protocols"))
    service += tunnel ? "protocols = [\"tcp\"]\n" : "protocols = [\"mptcp\", \"quic\"]\n";
  std::string cid = "[services.s.quic.cid]\n";
  if (!is("services.*.quic.cid.scheme"))
    cid += fmt::format("scheme = \"{}\"\n", scheme_with(parts.back()));

  const std::string line = fmt::format("{} = {}\n", parts.back(), value);
  parts.pop_back();
  const std::string table = fmt::format("[{}]\n", fmt::join(parts, "."));
  if (const auto more = in_service.find(table); more != in_service.end()) service += more->second;
  const auto extra = beside.find(spec.pattern);
  const std::string more = extra == beside.end() ? "" : std::string(extra->second);
  if (table == "[servers.s]\n") return out + line + service + cid;
  if (table == "[services.s]\n") return out + service + line + cid;
  if (table == cid.substr(0, table.size())) return out + service + cid + line;
  if (table == "[directors.d]\n") {
    const std::string place = "interface = \"eth0\"\n[servers";
    return out.insert(out.find(place), line) + service + cid;
  }
  return out + service + cid + table + more + line;
}

/// What the reader says about the value itself.
bool refused(const KeySpec& spec, const std::string& value, std::string_view says) {
  const std::string text = file_with(spec, value);
  const Loaded loaded = read_text(text, "t");
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    if (diagnostic.severity == Diagnostic::Severity::error && diagnostic.message.contains(says))
      return true;
  }
  return false;
}

std::string in_shape(const KeySpec& spec, std::int64_t value) {
  const std::string number = std::to_string(value);
  if (spec.shape == Shape::duration) return '"' + number + "s\"";
  if (spec.shape == Shape::rate) return '"' + number + "/second\"";
  return spec.shape == Shape::wholes || spec.shape == Shape::ports ? '[' + number + ']' : number;
}

std::string in_shape(const KeySpec& spec, std::string_view word) {
  const std::string text = fmt::format("\"{}\"", word);
  return spec.shape == Shape::texts ? '[' + text + ']' : text;
}

}  // namespace

TEST_CASE("schema: the ends of every range are taken, and nothing beyond") {
  std::size_t seen = 0;
  for (const KeySpec& spec : schema()) {
    if (spec.range.empty() || left_to_other_tests(spec.pattern)) continue;
    CAPTURE(spec.pattern);
    ++seen;
    CHECK_FALSE(refused(spec, in_shape(spec, spec.range.least), "out of range"));
    CHECK_FALSE(refused(spec, in_shape(spec, spec.range.most), "out of range"));
    if (spec.range.most != INT64_MAX)
      CHECK(refused(spec, in_shape(spec, spec.range.most + 1), "out of range"));
    // A duration has no sign; id 0 has a message of its own.
    const bool own_words = spec.pattern == "servers.*.id";
    if (spec.shape == Shape::duration && spec.range.least == 0) continue;
    CHECK(refused(spec, in_shape(spec, spec.range.least - 1), own_words ? "id 0" : "out of range"));
  }
  CHECK(seen >= 15);
}

TEST_CASE("schema: every word is known, and no other") {
  std::size_t seen = 0;
  for (const KeySpec& spec : schema()) {
    if (spec.words.empty()) continue;
    CAPTURE(spec.pattern);
    ++seen;
    std::istringstream words{std::string(spec.words)};
    for (std::string word; words >> word;) {
      CAPTURE(word);
      CHECK_FALSE(refused(spec, in_shape(spec, word), "unknown"));
      CHECK_FALSE(refused(spec, in_shape(spec, word), "not supported"));
    }
    // Flags are held against their scheduler.
    const bool flags = spec.pattern == "services.*.scheduler_flags";
    CHECK(refused(spec, in_shape(spec, "frobnicate"), flags ? "knows no flag" : "unknown"));
  }
  CHECK(seen >= 8);
}

TEST_CASE("schema: what leaving a key out means is what writing it means") {
  std::size_t seen = 0;
  for (const KeySpec& spec : schema()) {
    // Only what is written as TOML can be put in a file: "none" and the like are prose.
    const bool is_value =
        !spec.fallback.empty() &&
        (spec.fallback.front() == '"' || spec.fallback == "true" || spec.fallback.front() <= '9');
    // A table of its own, even an empty one, already means something there.
    if (!is_value || spec.pattern.starts_with("mptcp.")) continue;
    CAPTURE(spec.pattern);
    std::string text = file_with(spec, std::string(spec.fallback));
    if (const auto check = check_of.find(parts_of(spec.pattern).back());
        spec.pattern.starts_with("services.*.check.") && check != check_of.end())
      text += check->second;
    const Loaded with = read_text(text, "t");
    REQUIRE_MESSAGE(with.ok(), test::said(with));
    const auto line = text.find(
        fmt::format("\n{} = {}\n", parts_of(spec.pattern).back(), std::string(spec.fallback)));
    REQUIRE(line != std::string::npos);
    text.erase(line + 1, text.find('\n', line + 1) - line);
    const Loaded without = read_text(text, "t");
    REQUIRE_MESSAGE(without.ok(), test::said(without));
    ++seen;
    const Service& one = with.config->services.at("s");
    const Service& other = without.config->services.at("s");
    CHECK(with.config->directors.at("d").vip_on == without.config->directors.at("d").vip_on);
    CHECK(with.config->servers.at("s").xdp_mode == without.config->servers.at("s").xdp_mode);
    CHECK(with.config->servers.at("s").steer == without.config->servers.at("s").steer);
    CHECK(with.config->drain.tcp == without.config->drain.tcp);
    CHECK(with.config->drain.udp == without.config->drain.udp);
    CHECK(one.scheduler == other.scheduler);
    CHECK(one.flags == other.flags);
    CHECK(one.forward == other.forward);
    CHECK(one.tunnel == other.tunnel);
    CHECK(one.persistence_prefix_v4 == other.persistence_prefix_v4);
    CHECK(one.persistence_prefix_v6 == other.persistence_prefix_v6);
    CHECK(one.servers == other.servers);
    CHECK(one.mptcp.join_only == other.mptcp.join_only);
    CHECK(one.quic.cids == other.quic.cids);
    CHECK(one.quic.initial == other.quic.initial);
    CHECK(one.quic.unknown == other.quic.unknown);
    CHECK(one.check == other.check);
    CHECK(one.quorum == other.quorum);
  }
  CHECK(seen >= 15);
}

TEST_CASE("schema: only tables that get defaults have keys of their own and conditions") {
  for (const KeySpec& spec : schema()) {
    CAPTURE(spec.pattern);
    const std::vector<std::string> parts = parts_of(spec.pattern);
    const bool of_a_kind = parts.size() >= 3 && parts[1] == "*";
    if (spec.own || !spec.goes_with.empty()) CHECK(of_a_kind);
    CHECK_FALSE(spec.about.empty());
    CHECK_FALSE(spec.about.ends_with('.'));
  }
}
