// The ports of a service.
#include <charconv>
#include <map>

#include "decode_parts.hpp"

namespace lbctl::config {
namespace {

using model::Port;
using model::PortRange;

/// "8000-8100"; nothing, and an error, if it is something else.
std::optional<PortRange> decode_range(const Node& node, Report& report) {
  const std::string_view text = node.text;
  const char* const end = text.data() + text.size();
  const auto wrong = [&](std::string hint) {
    report.error(node.at, fmt::format("\"{}\" is not a range of ports", text), std::move(hint));
    return std::nullopt;
  };
  std::uint32_t first = 0, last = 0;
  const auto [dash, no_first] = std::from_chars(text.data(), end, first);
  if (no_first == std::errc{} && dash == end)
    return wrong(fmt::format("a single port stands without quotes: {}", text));
  if (no_first != std::errc{} || *dash != '-')
    return wrong(R"(for example: ports = [443, "8000-8100"], or ports = "all")");
  const auto [rest, no_last] = std::from_chars(dash + 1, end, last);
  if (no_last != std::errc{} || rest != end)
    return wrong(R"(for example: ports = [443, "8000-8100"], or ports = "all")");
  if (!port_range.holds(first) || !port_range.holds(last) || first >= last)
    return wrong(fmt::format("from a lower port to a higher one, {} to {}", port_range.least,
                             port_range.most));
  return PortRange{Port{static_cast<std::uint16_t>(first)}, Port{static_cast<std::uint16_t>(last)}};
}

/// Reports ports that two of the list name.
class Stretches {
 public:
  explicit Stretches(Report& report) : report_(report) {}

  bool add(const PortRange& range, Span at) {
    // They do not overlap each other: if the first that ends here or later does not overlap this,
    // none does.
    const auto after = by_last_.lower_bound(range.first);
    if (after == by_last_.end() || !after->second.overlaps(range)) {
      by_last_.emplace(range.last, range);
      return true;
    }
    const PortRange& other = after->second;
    report_.error(at, other == range
                          ? fmt::format("{} stands twice in the list", range.text())
                          : fmt::format("{} and {} overlap", other.text(), range.text()));
    return false;
  }

 private:
  Report& report_;
  std::map<Port, PortRange> by_last_;
};

}  // namespace

void decode_ports(const Node& table, DraftService& out, Report& report) {
  out.ports.key = out.ranges.key = out.at;
  const Member* found = table.find("ports");
  if (!found) return;
  const Node& value = found->value;
  out.ports.key = out.ranges.key = found->key_at;
  bool whole = value.is(Kind::list);
  Stretches stretches(report);
  if (value.is(Kind::text)) {
    whole = value.text == "all";
    if (whole) {
      out.ranges.items.push_back({model::all_ports, value.at});
    } else {
      report.error(value.at,
                   fmt::format("ports must be a list or \"all\", this is \"{}\"", value.text),
                   R"(for example: ports = [443, "8000-8100"])");
    }
  }
  for (const Node& item : value.items) {
    std::optional<PortRange> range;
    if (item.is(Kind::text)) range = decode_range(item, report);
    if (item.is(Kind::integer))
      if (const auto port = decode_number(item, "port", port_range, report)) {
        const Port number{static_cast<std::uint16_t>(*port)};
        range = {number, number};
      }
    if (!range || !stretches.add(*range, item.at)) {
      whole = whole && range.has_value();
    } else if (range->first == range->last) {
      out.ports.items.push_back({number(range->first), item.at});
    } else {
      out.ranges.items.push_back({*range, item.at});
    }
  }
  out.ports.whole = out.ranges.whole = whole;
}

}  // namespace lbctl::config
