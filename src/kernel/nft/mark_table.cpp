#include "mark_table.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace lbctl::kernel::nft {
namespace {

using model::Family;
using model::L4;

constexpr std::uint32_t key4 = joined(type_ipv4, type_port), key6 = joined(type_ipv6, type_port);
const std::array<SetShape, 4> shapes{{
    {"mark_tcp4", key4, 8, type_mark, 4, true},
    {"mark_udp4", key4, 8, type_mark, 4, true},
    {"mark_tcp6", key6, 20, type_mark, 4, true},
    {"mark_udp6", key6, 20, type_mark, 4, true},
}};

/// `meta mark set ip daddr . tcp dport map @mark_tcp4`: a key that is not in the map ends the rule.
void mark_packets(TableObjects& to, Family family, L4 protocol) {
  using Octet = std::array<std::uint8_t, 1>;
  const bool v4 = family == Family::v4;
  const auto nfproto = static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  const auto l4proto = static_cast<std::uint8_t>(protocol == L4::tcp ? IPPROTO_TCP : IPPROTO_UDP);
  add_rule(to, TableId::marks, "marking")
      .meta(NFT_META_NFPROTO)
      .compare(NFT_CMP_EQ, Octet{nfproto})
      .meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{l4proto})
      .payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, v4 ? 4 : 16)
      // The port behind the address; the kernel has two names for a register on whole 16 octets.
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, v4 ? NFT_REG32_01 : NFT_REG_2)
      .look_up(mark_set(family, protocol).name.c_str(), NFT_REG_1)
      .set_mark();
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

}  // namespace

std::span<const SetShape> mark_sets() {
  return shapes;
}

const SetShape& mark_set(Family family, L4 protocol) {
  return shapes.at((family == Family::v4 ? 0u : 2u) + (protocol == L4::tcp ? 0u : 1u));
}

Octets mark_key(const model::MarkKey& key) {
  Octets out = octets_of(key.address);
  append(out, octets_of(key.ports.first));
  append(out, octets_of(key.address));
  append(out, octets_of(key.ports.last));
  return out;
}

/// As the packet has it: host order.
Octets mark_value(std::uint32_t mark) {
  Octets out(sizeof mark);
  std::memcpy(out.data(), &mark, sizeof mark);
  return out;
}

std::map<std::string, Elements> mark_elements(const model::Marks& marks) {
  std::map<std::string, Elements> all;
  for (const SetShape& shape : shapes)
    all[shape.name];
  for (const auto& [key, mark] : marks)
    all[mark_set(key.address.family(), key.protocol).name][mark_key(key)] = mark_value(mark);
  return all;
}

bool read_marks(const std::map<std::string, Elements>& elements, model::Marks& out) {
  bool whole = true;
  for (const Family family : {Family::v4, Family::v6}) {
    for (const L4 protocol : {L4::tcp, L4::udp}) {
      const SetShape& shape = mark_set(family, protocol);
      const auto found = elements.find(shape.name);
      if (found == elements.end()) continue;
      for (const auto& [octets, value] : found->second) {
        const auto key = key_of(octets, shape, protocol);
        std::uint32_t mark = 0;
        whole = whole && key && value.size() == sizeof mark;
        if (!key || value.size() != sizeof mark) continue;
        std::memcpy(&mark, value.data(), sizeof mark);
        out[*key] = mark;
      }
    }
  }
  return whole;
}

TableObjects make_mark_table() {
  TableObjects made = make_table(TableId::marks, {shapes.begin(), shapes.end()});
  // Beside other tools' marks, before routing looks at them.
  made.chains.push_back(base_chain("marking", NF_INET_PRE_ROUTING, NF_IP_PRI_MANGLE));
  for (const Family family : {Family::v4, Family::v6})
    for (const L4 protocol : {L4::tcp, L4::udp})
      mark_packets(made, family, protocol);
  return made;
}

}  // namespace lbctl::kernel::nft
