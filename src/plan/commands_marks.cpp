// The table of marks as nft(8) takes it: rules/director-marks.nft.
#include <fmt/format.h>

#include "commands_nft.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

/// "192.0.2.100 . 8000-8100"
std::string key_text(const MarkKey& key) {
  const std::string ports = key.ports == all_ports ? std::string("0-65535") : key.ports.text();
  return fmt::format("{} . {}", key.address.text(), ports);
}

/// "mark_tcp4", "untracked_udp6"
std::string set_name(bool untracked, Family family, L4 protocol) {
  return fmt::format("{}_{}{}", untracked ? "untracked" : "mark", name(protocol),
                     family == Family::v4 ? 4 : 6);
}

/// The sets of one kind, and the rules that look things up in them.
void add_kind(const Marks& marks, bool untracked, std::string& sets, std::string& rules) {
  for (const Family family : {Family::v4, Family::v6})
    for (const L4 protocol : {L4::tcp, L4::udp}) {
      std::vector<std::string> elements;
      for (const auto& [key, mark] : marks) {
        if (key.address.family() != family || key.protocol != protocol) continue;
        if (untracked && mark.untracked) elements.push_back(key_text(key));
        if (!untracked && mark.value != 0)
          elements.push_back(fmt::format("{} : {}", key_text(key), mark.value));
      }
      const std::string set = set_name(untracked, family, protocol);
      const char* const ip = family == Family::v4 ? "ip" : "ip6";
      sets +=
          set_text(untracked ? "set" : "map", set,
                   fmt::format("type {}_addr . inet_service{}\n\t\tflags interval",
                               family == Family::v4 ? "ipv4" : "ipv6", untracked ? "" : " : mark"),
                   elements);
      const std::string looked_at = fmt::format("{} daddr . {} dport", ip, name(protocol));
      rules += untracked ? fmt::format("\t\t{} @{} notrack\n", looked_at, set)
                         : fmt::format("\t\tmeta mark set {} map @{}\n", looked_at, set);
    }
}

std::string chain_text(const char* chain, const char* priority, const std::string& rules) {
  return fmt::format(
      "\tchain {} {{\n\t\ttype filter hook prerouting priority {}; policy accept;\n{}\t}}\n", chain,
      priority, rules);
}

std::string table_text(MarkChains chains, const Marks& marks) {
  std::string sets, marking, untracking, out;
  if (chains.marking) add_kind(marks, false, sets, marking);
  if (chains.untracking) add_kind(marks, true, sets, untracking);
  if (chains.untracking) out += chain_text("untracking", "raw", untracking);
  if (chains.marking) out += chain_text("marking", "mangle", marking);
  return fmt::format("table {} {{\n{}{}}}", marks_table, sets, out);
}

void change(const char* verb, const MarkKey& key, const Mark& mark, bool untracked,
            std::vector<std::string>& out) {
  const std::string value = untracked || std::string_view(verb) == "delete"
                                ? std::string()
                                : fmt::format(" : {}", mark.value);
  out.push_back(fmt::format("{} element {} {} {{ {}{} }}", verb, marks_table,
                            set_name(untracked, key.address.family(), key.protocol), key_text(key),
                            value));
}

}  // namespace

void create_marks(const CreateMarks& action, const Marks& whole, std::vector<std::string>& out) {
  if (action.replaces) {
    out.push_back(fmt::format("add table {}", marks_table));
    out.push_back(fmt::format("delete table {}", marks_table));
  } else {
    out.push_back(fmt::format("create table {}", marks_table));
  }
  out.push_back(table_text(action.chains, whole));
}

void set_mark(const SetMark& action, std::vector<std::string>& out) {
  const Mark from = action.from.value_or(Mark{});
  const bool other = from.value != action.to.value;
  if (other && from.value != 0) change("delete", action.key, from, false, out);
  if (other && action.to.value != 0) change("add", action.key, action.to, false, out);
  if (from.untracked && !action.to.untracked) change("delete", action.key, from, true, out);
  if (!from.untracked && action.to.untracked) change("add", action.key, action.to, true, out);
}

void remove_mark(const RemoveMark& action, std::vector<std::string>& out) {
  if (action.from.value != 0) change("delete", action.key, action.from, false, out);
  if (action.from.untracked) change("delete", action.key, action.from, true, out);
}

}  // namespace lbctl::plan
