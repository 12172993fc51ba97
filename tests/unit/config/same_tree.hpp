// The fast way of reading against toml11 reading all of the text.
#pragma once

#include <algorithm>

#include "toml_reader.hpp"

namespace lbctl::config {

inline bool same(Span a, Span b) {
  return a.offset == b.offset && a.length == b.length;
}

inline bool same(const Node& a, const Node& b);

inline bool same(const Member& a, const Member& b) {
  return a.key == b.key && same(a.key_at, b.key_at) && same(a.value, b.value);
}

inline bool same(const Node& a, const Node& b) {
  const auto each = [](const auto& x, const auto& y) { return same(x, y); };
  return a.kind == b.kind && same(a.at, b.at) && a.text == b.text && a.integer == b.integer &&
         a.boolean == b.boolean && std::ranges::equal(a.items, b.items, each) &&
         std::ranges::equal(a.members, b.members, each);
}

/// Both ways give the same tree, or the same diagnostics. Nobody asks where the top level stands.
inline bool same_both_ways(const File& file) {
  const Source source(file.name(), file.text());
  Report fast_report(source), whole_report(source);
  const auto fast = read_toml(source.files().front(), fast_report, Way::fast);
  const auto whole = read_toml(source.files().front(), whole_report, Way::whole);
  const auto remarks = [](const Diagnostic& a, const Diagnostic& b) {
    return render(a) == render(b);
  };
  const auto each = [](const Member& a, const Member& b) { return same(a, b); };
  return fast.has_value() == whole.has_value() &&
         (!fast || std::ranges::equal(fast->members, whole->members, each)) &&
         std::ranges::equal(fast_report.take(), whole_report.take(), remarks);
}

}  // namespace lbctl::config
