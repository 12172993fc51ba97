#include "lbctl/model/units.hpp"

namespace lbctl::model {

std::string_view name(MptcpWay way) {
  return way == MptcpWay::bpf ? "bpf" : "preload";
}

std::string MptcpizedUnit::text() const {
  std::string out(name(way));
  if (asked_by == AskedBy::hand) out += ", by hand";
  if (!intact) out += ", changed";
  return out;
}

std::string_view unit_name_trouble(std::string_view unit) {
  // systemd.unit(5): VALID_CHARS, and UNIT_NAME_MAX with the octet at its end.
  constexpr std::string_view valid =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
  constexpr std::string_view suffix = ".service";
  constexpr std::size_t longest = 255;
  if (!unit.ends_with(suffix) || unit.size() == suffix.size())
    return "is no service: its name ends in .service";
  if (unit.size() > longest) return "is longer than 255 octets";
  if (unit.find_first_not_of(valid) != std::string_view::npos)
    return "has a character that no unit's name has";
  const std::string_view stem = unit.substr(0, unit.size() - suffix.size());
  if (stem.front() == '@') return "names an instance of no template";
  if (stem.ends_with('@')) return "is a template: name an instance of it, such as app@1.service";
  if (stem.starts_with('.')) return "begins with a full stop";
  return {};
}

}  // namespace lbctl::model
