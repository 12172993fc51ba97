#include "mark_table.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <span>

namespace lbctl::kernel::nft {
namespace {

using model::Family;
using model::L4;

constexpr std::uint32_t key4 = joined(type_ipv4, type_port), key6 = joined(type_ipv6, type_port);
const std::array<SetShape, 8> shapes{{
    {"mark_tcp4", key4, 8, type_mark, 4, false, true},
    {"mark_udp4", key4, 8, type_mark, 4, false, true},
    {"mark_tcp6", key6, 20, type_mark, 4, false, true},
    {"mark_udp6", key6, 20, type_mark, 4, false, true},
    {"untracked_tcp4", key4, 8, 0, 0, false, true},
    {"untracked_udp4", key4, 8, 0, 0, false, true},
    {"untracked_tcp6", key6, 20, 0, 0, false, true},
    {"untracked_udp6", key6, 20, 0, 0, false, true},
}};
constexpr std::size_t first_untracked = 4;

const SetShape& set_of(Family family, L4 protocol, bool untracked) {
  return shapes.at((untracked ? first_untracked : 0u) + (family == Family::v4 ? 0u : 2u) +
                   (protocol == L4::tcp ? 0u : 1u));
}

constexpr std::array families{Family::v4, Family::v6};
constexpr std::array protocols{L4::tcp, L4::udp};

/// `ip daddr . tcp dport` is in register 1 then.
RuleWriter by_vip_and_port(TableObjects& to, const char* chain, Family family, L4 protocol) {
  using Octet = std::array<std::uint8_t, 1>;
  const bool v4 = family == Family::v4;
  const auto nfproto = static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  const auto l4proto = static_cast<std::uint8_t>(protocol == L4::tcp ? IPPROTO_TCP : IPPROTO_UDP);
  RuleWriter rule = add_rule(to, TableId::marks, chain);
  rule.meta(NFT_META_NFPROTO)
      .compare(NFT_CMP_EQ, Octet{nfproto})
      .meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{l4proto})
      .payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, v4 ? 4 : 16)
      // The port behind the address; the kernel has two names for a register on whole 16 octets.
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, v4 ? NFT_REG32_01 : NFT_REG_2);
  return rule;
}

std::optional<model::MarkKey> key_of(const Octets& octets, const SetShape& shape, L4 protocol) {
  const std::size_t address = shape.key_octets - 4;
  if (octets.size() != 2 * shape.key_octets) return std::nullopt;
  const std::span<const std::uint8_t> all(octets);
  const auto first = all.first(shape.key_octets), last = all.subspan(shape.key_octets);
  const auto port = [&](std::span<const std::uint8_t> key) {
    return model::Port{static_cast<std::uint16_t>(key[address] << 8 | key[address + 1])};
  };
  const auto ip = model::IpAddress::from_octets(first.first(address));
  if (!ip || !std::ranges::equal(first.first(address), last.first(address))) return std::nullopt;
  return model::MarkKey{*ip, protocol, {port(first), port(last)}};
}

Octets mark_key(const model::MarkKey& key) {
  Octets out = octets_of(key.address);
  append(out, octets_of(key.ports.first));
  append(out, octets_of(key.address));
  append(out, octets_of(key.ports.last));
  return out;
}

std::vector<SetShape> shapes_for(model::MarkChains chains) {
  const std::span all(shapes);
  std::vector<SetShape> out;
  if (chains.marking) std::ranges::copy(all.first(first_untracked), std::back_inserter(out));
  if (chains.untracking) std::ranges::copy(all.subspan(first_untracked), std::back_inserter(out));
  return out;
}

/// As the packet has it: host order.
Octets mark_value(std::uint32_t mark) {
  Octets out(sizeof mark);
  std::memcpy(out.data(), &mark, sizeof mark);
  return out;
}

/// Calls `each(key, value)` for what one set holds; false if a key does not fit the model.
template <class Each>
bool read_set(const std::map<std::string, Elements>& elements, const SetShape& shape, L4 protocol,
              Each each) {
  const auto found = elements.find(shape.name);
  if (found == elements.end()) return true;
  bool whole = true;
  for (const auto& [octets, value] : found->second) {
    const auto key = key_of(octets, shape, protocol);
    whole = whole && key && value.size() == shape.data_octets;
    if (key && value.size() == shape.data_octets) each(*key, value);
  }
  return whole;
}

}  // namespace

std::span<const SetShape> mark_sets() {
  return shapes;
}

std::map<std::string, Elements> mark_elements(const model::MarkKey& key, const model::Mark& mark) {
  const auto name = [&](bool untracked) {
    return set_of(key.address.family(), key.protocol, untracked).name;
  };
  std::map<std::string, Elements> out;
  if (mark.value != 0) out[name(false)][mark_key(key)] = mark_value(mark.value);
  if (mark.untracked) out[name(true)][mark_key(key)];
  return out;
}

std::map<std::string, Elements> mark_elements(const model::Marks& marks) {
  std::map<std::string, Elements> all;
  for (const SetShape& shape : shapes_for(model::chains_for(marks)))
    all[shape.name];
  for (const auto& [key, mark] : marks)
    for (auto& [set, elements] : mark_elements(key, mark))
      all[set].merge(elements);
  return all;
}

bool read_marks(const std::map<std::string, Elements>& elements, model::Marks& out) {
  bool whole = true;
  for (const Family family : families) {
    for (const L4 protocol : protocols) {
      whole &= read_set(elements, set_of(family, protocol, false), protocol,
                        [&](const model::MarkKey& key, const Octets& value) {
                          std::memcpy(&out[key].value, value.data(), value.size());
                        });
      whole &=
          read_set(elements, set_of(family, protocol, true), protocol,
                   [&](const model::MarkKey& key, const Octets&) { out[key].untracked = true; });
    }
  }
  return whole;
}

TableObjects make_mark_table(model::MarkChains chains) {
  TableObjects made = make_table(TableId::marks, shapes_for(chains));
  if (chains.untracking) {
    made.chains.push_back(base_chain("untracking", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW));
    for (const Family family : families)
      for (const L4 protocol : protocols)
        by_vip_and_port(made, "untracking", family, protocol)
            .in_set(set_of(family, protocol, true).name.c_str())
            .untrack();
  }
  if (chains.marking) {
    // Beside other tools' marks, before routing looks at them.
    made.chains.push_back(base_chain("marking", NF_INET_PRE_ROUTING, NF_IP_PRI_MANGLE));
    for (const Family family : families)
      for (const L4 protocol : protocols)
        by_vip_and_port(made, "marking", family, protocol)
            .look_up(set_of(family, protocol, false).name.c_str(), NFT_REG_1)
            .set_mark();
  }
  return made;
}

}  // namespace lbctl::kernel::nft
