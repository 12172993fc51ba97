// The layouts of connection IDs.
#include <algorithm>
#include <array>

#include "decode_parts.hpp"

namespace lbctl::config {

std::string_view name(Initial initial) {
  return initial == Initial::local ? "local" : "steer";
}

std::string_view name(Steer steer) {
  return steer == Steer::tunnel ? "tunnel" : "l2";
}

std::string_view name(Unknown unknown) {
  return unknown == Unknown::drop ? "drop" : "pass";
}

namespace {

using model::CidFormat;

/// What the file calls a layout, and the keys that mean something to it.
struct Preset {
  std::string_view name;
  std::string_view keys;
};

constexpr std::array presets = {
    Preset{"quic-lb", " config id_length nonce_length key_file "},
    Preset{"aws-nlb", " nonce_length "},
    Preset{"msquic", " "},
    Preset{"katran", " version "},
    Preset{"dpvs", " "},
    Preset{"raw", " offset id_length length "},
};

const Preset* decode_preset(const Node& table, Report& report) {
  const Member* found = member(table, "scheme", Kind::text);
  if (!found) return nullptr;
  const auto preset = std::ranges::find(presets, found->value.text, &Preset::name);
  if (preset != presets.end()) return &*preset;
  std::vector<std::string> words;
  for (const Preset& one : presets)
    words.emplace_back(one.name);
  const std::string near = nearest(found->value.text, words);
  report.error(found->value.at, fmt::format("unknown scheme \"{}\"", found->value.text),
               near.empty() ? either(quoted(words)) : fmt::format("did you mean \"{}\"?", near));
  return nullptr;
}

void check_keys(const Node& table, const Preset& preset, Report& report) {
  for (const Member& found : table.members) {
    if (found.key == "scheme" || preset.keys.contains(fmt::format(" {} ", found.key))) continue;
    const bool known = std::ranges::any_of(presets, [&](const Preset& other) {
      return other.keys.contains(fmt::format(" {} ", found.key));
    });
    if (known)  // else it was reported as unknown
      report.error(found.key_at,
                   fmt::format("{} means nothing to scheme \"{}\"", found.key, preset.name));
  }
}

/// The scheme's own numbers, in its words.
struct Numbers {
  std::optional<std::uint8_t> config, id_length, nonce_length, version, offset, length;
};

Numbers decode_numbers(const Node& table, Report& report) {
  const auto number = [&](std::string_view key, Range range) -> std::optional<std::uint8_t> {
    const Member* found = member(table, key, Kind::integer);
    if (!found) return std::nullopt;
    const auto value = decode_number(found->value, key, range, report);
    return value ? std::optional(static_cast<std::uint8_t>(*value)) : std::nullopt;
  };
  Numbers out;
  out.config = number("config", cid_config_range);
  out.id_length = number("id_length", cid_id_length_range);
  out.nonce_length = number("nonce_length", cid_nonce_length_range);
  out.version = number("version", cid_version_range);
  out.offset = number("offset", cid_offset_range);
  out.length = number("length", cid_length_range);
  return out;
}

std::string decode_key_file(const Node& table, Report& report) {
  const Member* found = member(table, "key_file", Kind::text);
  if (!found) return {};
  if (found->value.text.starts_with('/')) return found->value.text;
  report.error(found->value.at, "key_file must be an absolute path",
               "every node reads the same file, from wherever it runs");
  return {};
}

model::CidScheme quic_lb(const Numbers& numbers, bool encrypted) {
  model::CidScheme out;
  out.config = numbers.config.value_or(out.config);
  out.id_length = numbers.id_length.value_or(out.id_length);
  out.nonce_length = numbers.nonce_length.value_or(out.nonce_length);
  out.encrypted = encrypted;
  return out;
}

model::CidScheme aws_nlb(const Numbers& numbers) {
  return {.id_length = 8, .nonce_length = numbers.nonce_length.value_or(7)};
}

model::CidScheme raw(const Numbers& numbers) {
  model::CidScheme out{.format = CidFormat::raw};
  out.id_length = numbers.id_length.value_or(out.id_length);
  out.offset = numbers.offset.value_or(0);
  out.length = numbers.length.value_or(static_cast<std::uint8_t>(out.offset + out.id_length));
  return out;
}

/// dpvs has one layout for each family of servers' addresses.
std::vector<model::CidScheme> schemes_of(std::string_view preset, const Numbers& numbers,
                                         bool encrypted, const DraftList<model::IpAddress>& vips) {
  if (preset == "quic-lb") return {quic_lb(numbers, encrypted)};
  if (preset == "aws-nlb") return {aws_nlb(numbers)};
  if (preset == "msquic") return {{.format = CidFormat::msquic}};
  if (preset == "raw") return {raw(numbers)};
  if (preset == "katran")
    return {{.format = CidFormat::katran, .version = numbers.version.value_or(1)}};
  std::vector<model::CidScheme> out;
  for (const model::Family family : {model::Family::v4, model::Family::v6}) {
    const bool used = std::ranges::any_of(
        vips.items, [&](const auto& vip) { return vip.value.family() == family; });
    const std::uint8_t octets = family == model::Family::v4 ? 3 : 4;
    if (used) out.push_back({.id_length = octets, .format = CidFormat::dpvs});
  }
  return out;
}

/// Each by itself is in its range; together they may be too long.
void refuse(const Node& table, const model::CidScheme& scheme, Report& report) {
  if (scheme.format == CidFormat::quic_lb) {
    report.error(table.at,
                 fmt::format("the connection ID has {} octets, QUIC allows {}", scheme.cid_length(),
                             model::longest_cid),
                 fmt::format("1 + id_length {} + nonce_length {} must be {} at most",
                             scheme.id_length, scheme.nonce_length, model::longest_cid));
    return;
  }
  report.error(
      table.at,
      fmt::format("a server id of {} octets from octet {} on is not in a connection ID of "
                  "{} octets",
                  scheme.id_length, scheme.offset, scheme.length),
      fmt::format("id_length is 8 at most, offset + id_length the length at most, and that "
                  "{} at most",
                  model::longest_cid));
}

void decode_cid(const Node& table, const DraftList<model::IpAddress>& vips,
                DraftList<DraftCid>& out, Report& report) {
  const std::size_t before = report.errors();
  const Preset* preset = decode_preset(table, report);
  const Numbers numbers = decode_numbers(table, report);
  const std::string key_file = decode_key_file(table, report);
  if (preset) check_keys(table, *preset, report);
  if (!preset || report.errors() != before) {
    out.whole = false;
    return;
  }
  for (const auto& scheme : schemes_of(preset->name, numbers, !key_file.empty(), vips)) {
    if (model::layout(scheme)) {
      out.items.push_back({{scheme, key_file}, table.at});
    } else {
      refuse(table, scheme, report);
      out.whole = false;
    }
  }
}

}  // namespace

DraftList<DraftCid> decode_cids(const Node& quic, const DraftList<model::IpAddress>& vips,
                                Report& report) {
  DraftList<DraftCid> out;
  const Member* found = quic.find("cid");
  if (!found) return out;
  out.key = found->key_at;
  if (found->value.is(Kind::table)) decode_cid(found->value, vips, out, report);
  for (const Node& item : found->value.items)
    if (item.is(Kind::table)) decode_cid(item, vips, out, report);
  return out;
}

}  // namespace lbctl::config
