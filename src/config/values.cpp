#include "values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lbctl::config {
namespace {

/// Why this address can't be anyone's on a network; empty if it can.
std::string_view unusable(const model::IpAddress& address) {
  const auto octets = address.octets();
  const auto all_zero = [](auto range) {
    return std::ranges::all_of(range, [](std::uint8_t octet) { return octet == 0; });
  };
  if (all_zero(octets)) return "the unspecified address";
  if (address.is_v4()) {
    if (octets[0] == 127) return "a loopback address";
    if (octets[0] == 0) return "an address of \"this network\"";
    if (octets[0] >= 224 && octets[0] < 240) return "a multicast address";
    if (octets[0] >= 240) return "a reserved or broadcast address";
    return {};
  }
  if (octets[15] == 1 && all_zero(octets.first(15))) return "the loopback address";
  if (octets[0] == 0xff) return "a multicast address";
  if (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80) return "a link-local address";
  if (all_zero(octets.first(10)) && octets[10] == 0xff && octets[11] == 0xff) {
    return "an IPv4-mapped address";
  }
  return {};
}

std::string address_hint(std::string_view text) {
  if (text.contains('/')) return "without a prefix length";
  if (text.starts_with('[')) return "without brackets and port";
  if (text.contains('%')) return "without a zone";
  if (std::ranges::count(text, ':') == 1) return "without a port";
  return "IPv4 as 192.0.2.10, IPv6 as 2001:db8::10; host names are not looked up";
}

}  // namespace

std::optional<model::IpAddress> decode_address(const Node& node, Report& report) {
  const auto address = model::IpAddress::parse(node.text);
  if (!address) {
    report.error(node.at, fmt::format("\"{}\" is not an IP address", node.text),
                 address_hint(node.text));
    return std::nullopt;
  }
  if (const auto why = unusable(*address); !why.empty()) {
    report.error(node.at, fmt::format("{} is {}", address->text(), why),
                 "give a unicast address that the nodes can reach");
    return std::nullopt;
  }
  return address;
}

bool check_name(std::string_view name, Span at, std::string_view what, Report& report) {
  constexpr std::size_t longest = 63;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!name.empty() && name.size() <= longest && std::ranges::all_of(name, allowed) &&
      name.front() != '-' && name.front() != '.') {
    return true;
  }
  report.error(at, fmt::format("\"{}\" can't be the name of a {}", name, what),
               "1 to 63 letters, digits, \"-\", \"_\" and \".\", not starting with \"-\" or \".\"");
  return false;
}

bool check_interface(const Node& node, Report& report) {
  constexpr std::size_t longest = 15;  // IFNAMSIZ - 1
  const std::string& text = node.text;
  const auto allowed = [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/' && c != ':';
  };
  if (text == "lo") {
    report.error(node.at, "lo reaches no other node", "name the device, such as \"eth0\"");
    return false;
  }
  if (!text.empty() && text.size() <= longest && text != "." && text != ".." &&
      std::ranges::all_of(text, allowed)) {
    return true;
  }
  report.error(node.at, fmt::format("\"{}\" can't be the name of an interface", text),
               "1 to 15 octets without blanks, \"/\" and \":\", as `ip link` shows it");
  return false;
}

std::optional<std::uint32_t> decode_seconds(const Node& node, Range range, Report& report) {
  struct Unit {
    std::string_view name;
    std::uint64_t milliseconds;
  };
  static constexpr std::array units = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                       Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};
  const std::string_view text = node.text;
  const std::string format = "a whole number and a unit: \"90s\", \"5m\", \"1h\", \"1d\"";
  const auto wrong = [&](std::string message, std::string hint) {
    report.error(node.at, std::move(message), std::move(hint));
    return std::nullopt;
  };
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view rest(end, text.data() + text.size());
  const auto unit = std::ranges::find(units, rest, &Unit::name);
  if (error == std::errc::invalid_argument || (error == std::errc{} && unit == units.end())) {
    return wrong(
        fmt::format("\"{}\" is not a duration", text),
        error == std::errc{} && rest.empty() ? fmt::format("with a unit: \"{}s\"", text) : format);
  }
  const std::uint64_t milliseconds = error == std::errc{} ? count * unit->milliseconds : UINT64_MAX;
  if (milliseconds != UINT64_MAX && milliseconds % 1000 != 0) {
    return wrong(fmt::format("\"{}\" is not whole seconds", text), "the kernel counts in seconds");
  }
  const auto seconds = static_cast<std::int64_t>(milliseconds / 1000);
  if (!range.holds(seconds)) {
    return wrong(fmt::format("\"{}\" is out of range", text),
                 fmt::format("{}s to {}s", range.least, range.most));
  }
  return static_cast<std::uint32_t>(seconds);
}

std::optional<model::Rate> decode_rate(const Node& node, Range range, Report& report) {
  using model::RateUnit;
  const std::string_view text = node.text;
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view rest(end, text.data() + text.size());
  for (const RateUnit unit : {RateUnit::second, RateUnit::minute, RateUnit::hour}) {
    if (error == std::errc::invalid_argument || rest != fmt::format("/{}", name(unit))) continue;
    if (error == std::errc{} && range.holds(count)) return model::Rate{count, unit, 0};
    report.error(node.at, fmt::format("\"{}\" is out of range", text),
                 fmt::format("{} to {}", range.least, range.most));
    return std::nullopt;
  }
  report.error(node.at, fmt::format("\"{}\" is not a rate", text),
               "a whole number for each second, minute or hour: \"200/second\"");
  return std::nullopt;
}

std::optional<std::int64_t> decode_number(const Node& node, std::string_view what, Range range,
                                          Report& report) {
  if (range.holds(node.integer)) return node.integer;
  report.error(node.at, fmt::format("{} {} is out of range", what, node.integer),
               fmt::format("{} to {}", range.least, range.most));
  return std::nullopt;
}

}  // namespace lbctl::config
