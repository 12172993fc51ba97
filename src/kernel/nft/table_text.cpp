#include "table_text.hpp"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace lbctl::kernel::nft {
namespace {

std::string_view text_or_empty(const char* text) {
  return text == nullptr ? std::string_view{} : std::string_view{text};
}

std::string hex(const Octets& octets) {
  std::string out;
  for (const std::uint8_t octet : octets)
    out += fmt::format("{:02x}", octet);
  return out;
}

std::string expression_text(nftnl_expr* expr) {
  std::string out(text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME)));
  if (out == "counter") return out;  // its values change by themselves
  const int length = nftnl_expr_snprintf(nullptr, 0, expr, NFTNL_OUTPUT_DEFAULT, 0);
  if (length <= 0) return out;
  std::string body(static_cast<std::size_t>(length) + 1, '\0');
  nftnl_expr_snprintf(body.data(), body.size(), expr, NFTNL_OUTPUT_DEFAULT, 0);
  body.resize(std::strlen(body.c_str()));
  while (body.ends_with(' '))
    body.pop_back();
  return out + " " + body;
}

int append_expression(nftnl_expr* expr, void* out) {
  *static_cast<std::string*>(out) += fmt::format("[ {} ] ", expression_text(expr));
  return 0;
}

struct ForwardSearch {
  std::map<std::uint32_t, std::uint32_t> registers;  ///< last 4-octet value put in each
  std::optional<std::uint32_t> device;
};

int search_forward(nftnl_expr* expr, void* out) {
  auto& search = *static_cast<ForwardSearch*>(out);
  const std::string_view name = text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME));
  if (name == "immediate" && nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_DATA)) {
    std::uint32_t length = 0, value = 0;
    const void* data = nftnl_expr_get(expr, NFTNL_EXPR_IMM_DATA, &length);
    if (data != nullptr && length == sizeof value) {
      std::memcpy(&value, data, sizeof value);
      search.registers[nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_DREG)] = value;
    }
  } else if (name == "fwd" && !search.device) {
    const auto found = search.registers.find(nftnl_expr_get_u32(expr, NFTNL_EXPR_FWD_SREG_DEV));
    if (found != search.registers.end()) search.device = found->second;
  }
  return 0;
}

Octets part_of(nftnl_set_elem* element, std::uint16_t attribute) {
  std::uint32_t length = 0;
  const auto* data =
      static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, attribute, &length));
  return data == nullptr ? Octets{} : Octets(data, data + length);
}

Octets key_of(nftnl_set_elem* element) {
  Octets key = part_of(element, NFTNL_SET_ELEM_KEY);
  append(key, part_of(element, NFTNL_SET_ELEM_KEY_END));
  return key;
}

int collect_element(nftnl_set_elem* element, void* out) {
  (*static_cast<Elements*>(out))[key_of(element)] = part_of(element, NFTNL_SET_ELEM_DATA);
  return 0;
}

int take_counter(nftnl_expr* expr, void* out) {
  if (std::string_view(text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME))) == "counter")
    *static_cast<std::uint64_t*>(out) = nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
  return 0;
}

int append_name(nftnl_expr* expr, void* out) {
  *static_cast<std::string*>(out) +=
      fmt::format(" {}", text_or_empty(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME)));
  return 0;
}

}  // namespace

void TableText::set_head(std::uint32_t flags, std::uint32_t objects) {
  head = fmt::format("flags {} objects {}", flags, objects);
}

void TableText::add_chain(const nftnl_chain& chain) {
  const std::string name(text_or_empty(nftnl_chain_get_str(&chain, NFTNL_CHAIN_NAME)));
  if (!nftnl_chain_is_set(&chain, NFTNL_CHAIN_HOOKNUM)) {
    chains[name] = "regular";
    return;
  }
  chains[name] = fmt::format("type {} hook {} priority {} policy {}",
                             text_or_empty(nftnl_chain_get_str(&chain, NFTNL_CHAIN_TYPE)),
                             nftnl_chain_get_u32(&chain, NFTNL_CHAIN_HOOKNUM),
                             nftnl_chain_get_s32(&chain, NFTNL_CHAIN_PRIO),
                             nftnl_chain_get_u32(&chain, NFTNL_CHAIN_POLICY));
  std::set<std::string>& hooked = devices[name];
  if (nftnl_chain_is_set(&chain, NFTNL_CHAIN_DEVICES)) {
    const char* const* device = nftnl_chain_get_array(&chain, NFTNL_CHAIN_DEVICES);
    for (; device != nullptr && *device != nullptr; ++device)
      hooked.insert(*device);
  }
  if (nftnl_chain_is_set(&chain, NFTNL_CHAIN_DEV))
    hooked.emplace(text_or_empty(nftnl_chain_get_str(&chain, NFTNL_CHAIN_DEV)));
}

void TableText::add_rule(const nftnl_rule& rule) {
  std::string line;
  // libnftnl's foreach takes a mutable rule and leaves it alone.
  nftnl_expr_foreach(const_cast<nftnl_rule*>(&rule), append_expression, &line);
  while (line.ends_with(' '))
    line.pop_back();
  rules[std::string(text_or_empty(nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN)))].push_back(
      std::move(line));
}

void TableText::add_set(const nftnl_set& set) {
  const std::string name(text_or_empty(nftnl_set_get_str(&set, NFTNL_SET_NAME)));
  const bool map = nftnl_set_is_set(&set, NFTNL_SET_DATA_LEN);
  sets[name] = fmt::format(
      "key {} of {} data {} of {} flags {} timeout {}", nftnl_set_get_u32(&set, NFTNL_SET_KEY_TYPE),
      nftnl_set_get_u32(&set, NFTNL_SET_KEY_LEN),
      map ? nftnl_set_get_u32(&set, NFTNL_SET_DATA_TYPE) : 0,
      map ? nftnl_set_get_u32(&set, NFTNL_SET_DATA_LEN) : 0,
      nftnl_set_get_u32(&set, NFTNL_SET_FLAGS), nftnl_set_get_u64(&set, NFTNL_SET_TIMEOUT));
  if ((nftnl_set_get_u32(&set, NFTNL_SET_FLAGS) & NFT_SET_EVAL) != 0) {
    sets[name] += fmt::format(" size {}", nftnl_set_get_u32(&set, NFTNL_SET_DESC_SIZE));
    filled_by_packets.insert(name);
  }
  nftnl_set_expr_foreach(&set, append_name, &sets[name]);
  elements[name];
}

void TableText::add_elements(const nftnl_set& set) {
  const std::string name(text_or_empty(nftnl_set_get_str(&set, NFTNL_SET_NAME)));
  nftnl_set_elem_foreach(const_cast<nftnl_set*>(&set), collect_element, &elements[name]);
}

std::string TableText::text() const {
  std::string out = fmt::format("table {}\n", head);
  for (const auto& [name, shape] : sets) {
    out += fmt::format("set {} {}\n", name, shape);
    const auto found = elements.find(name);
    if (found == elements.end()) continue;
    for (const auto& [key, value] : found->second)
      out += fmt::format("  {}{}{}\n", hex(key), value.empty() ? "" : " : ", hex(value));
  }
  for (const auto& [name, shape] : chains) {
    out += fmt::format("chain {} {}\n", name, shape);
    if (const auto found = devices.find(name); found != devices.end())
      for (const std::string& device : found->second)
        out += fmt::format("  device {}\n", device);
    if (const auto found = rules.find(name); found != rules.end())
      for (const std::string& rule : found->second)
        out += fmt::format("  {}\n", rule);
  }
  return out;
}

std::uint64_t packets_counted(const nftnl_rule& rule) {
  std::uint64_t packets = 0;
  nftnl_expr_foreach(const_cast<nftnl_rule*>(&rule), take_counter, &packets);
  return packets;
}

std::map<Octets, std::uint64_t> packets_counted(const nftnl_set& set) {
  std::map<Octets, std::uint64_t> out;
  nftnl_set_elem_foreach(
      const_cast<nftnl_set*>(&set),
      [](nftnl_set_elem* element, void* to) {
        std::uint64_t packets = 0;
        nftnl_set_elem_expr_foreach(element, take_counter, &packets);
        (*static_cast<std::map<Octets, std::uint64_t>*>(to))[key_of(element)] = packets;
        return 0;
      },
      &out);
  return out;
}

std::optional<std::uint32_t> forward_device(const nftnl_rule& rule) {
  ForwardSearch search;
  nftnl_expr_foreach(const_cast<nftnl_rule*>(&rule), search_forward, &search);
  return search.device;
}

TableText make_text(const TableObjects& made, std::map<std::string, Elements> elements) {
  TableText text;
  text.set_head(0, static_cast<std::uint32_t>(made.chains.size() + made.sets.size()));
  for (const ChainHandle& chain : made.chains)
    text.add_chain(*chain);
  for (const SetHandle& set : made.sets)
    text.add_set(*set);
  for (const RuleHandle& rule : made.rules)
    text.add_rule(*rule);
  text.elements = std::move(elements);
  return text;
}

}  // namespace lbctl::kernel::nft
