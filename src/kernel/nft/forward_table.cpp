#include "forward_table.hpp"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

namespace lbctl::kernel::nft {
namespace {

using Octet = std::array<std::uint8_t, 1>;
using TwoOctets = std::array<std::uint8_t, 2>;

// Before `forward`, which takes what is left. The names say more than the numbers.
constexpr std::int32_t guard_priority = -10, forward_priority = 0;

// Errors, without which path-MTU discovery is a black hole, and echo. Never neighbour discovery:
// the director answers for the signal address itself.
constexpr std::array<std::uint8_t, 5> icmp_types{ICMP_ECHOREPLY, ICMP_DEST_UNREACH, ICMP_ECHO,
                                                 ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
constexpr std::array<std::uint8_t, 6> icmpv6_types{ICMPV6_DEST_UNREACH, ICMPV6_PKT_TOOBIG,
                                                   ICMPV6_TIME_EXCEED,  ICMPV6_PARAMPROB,
                                                   ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY};

/// What the rules of the two families have apart.
struct FamilyShape {
  SetNames sets;
  std::uint32_t nfproto;
  TwoOctets ethertype;
  std::uint32_t destination_offset, address_octets, hop_limit_offset;  ///< in the IP header
  std::uint8_t icmp;
};
constexpr FamilyShape shape_v4{names_v4, NFPROTO_IPV4, {0x08, 0x00}, 16, 4, 8, IPPROTO_ICMP};
constexpr FamilyShape shape_v6{names_v6, NFPROTO_IPV6, {0x86, 0xdd}, 24, 16, 7, IPPROTO_ICMPV6};

ChainHandle ingress_chain(const char* name, std::int32_t priority,
                          const std::set<std::string>& devices) {
  auto chain = base_chain(name, NF_NETDEV_INGRESS, priority);
  std::vector<const char*> list;
  list.reserve(devices.size() + 1);
  for (const std::string& device : devices)
    list.push_back(device.c_str());
  list.push_back(nullptr);
  nftnl_chain_set_array(chain.get(), NFTNL_CHAIN_DEVICES, list.data());
  return chain;
}

/// Adds to the chains of one table.
class Rules {
 public:
  explicit Rules(TableObjects& to) : to_(to) {}
  RuleWriter add(const char* chain) { return add_rule(to_, TableId::forward, chain); }

 private:
  TableObjects& to_;
};

/// `ip daddr @join_only4`
RuleWriter guarded(Rules& rules, const FamilyShape& family) {
  RuleWriter rule = rules.add("guard");
  rule.meta(NFT_META_PROTOCOL)
      .compare(NFT_CMP_EQ, family.ethertype)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, family.destination_offset, family.address_octets)
      .in_set(family.sets.join_only);
  return rule;
}

/// `ip frag-off & 0x1ff8 == 0 ip frag-off & 0x0007 != 0`: a piece that begins 8..56 octets into the
/// TCP header, where the flags or the option could hide.
void guard_v4_fragments(Rules& rules) {
  guarded(rules, shape_v4)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2)
      .mask(TwoOctets{0x1f, 0xf8})
      .compare(NFT_CMP_EQ, TwoOctets{0, 0})
      .payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2)
      .mask(TwoOctets{0x00, 0x07})
      .compare(NFT_CMP_NEQ, TwoOctets{0, 0})
      .counter()
      .verdict(NF_DROP);
}

/// `frag frag-off 1-7`, the same in IPv6.
void guard_v6_fragments(Rules& rules) {
  guarded(rules, shape_v6)
      .ipv6_fragment_offset()
      .mask(TwoOctets{0xff, 0xf8})
      .compare(NFT_CMP_GTE, TwoOctets{0x00, 1 << 3})
      .compare(NFT_CMP_LTE, TwoOctets{0x00, 7 << 3})
      .counter()
      .verdict(NF_DROP);
}

/// `… tcp flags syn / syn,ack`
RuleWriter guarded_syn(Rules& rules, const FamilyShape& family) {
  RuleWriter rule = guarded(rules, family);
  rule.meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{IPPROTO_TCP})
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1)
      .mask(Octet{0x12})
      .compare(NFT_CMP_EQ, Octet{0x02});
  return rule;
}

void guard_joins(Rules& rules, const FamilyShape& family) {
  // `subtype != 1 drop` would let a SYN without the option pass: first accept, then drop.
  guarded_syn(rules, family)
      .mptcp_subtype_octet()
      .mask(Octet{0xf0})
      .compare(NFT_CMP_EQ, Octet{0x10})
      .verdict(NF_ACCEPT);
  guarded_syn(rules, family).counter().verdict(NF_DROP);
}

/// `meta pkttype host ip ttl > 1 meta l4proto …`
RuleWriter forwarded(Rules& rules, const FamilyShape& family, std::uint8_t protocol) {
  RuleWriter rule = rules.add("forward");
  rule.meta(NFT_META_PKTTYPE)
      .compare(NFT_CMP_EQ, Octet{PACKET_HOST})
      .meta(NFT_META_PROTOCOL)
      .compare(NFT_CMP_EQ, family.ethertype)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, family.hop_limit_offset, 1)
      .compare(NFT_CMP_GT, Octet{1})
      .meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{protocol});
  return rule;
}

void forward_home(Rules& rules, const FamilyShape& family, std::uint32_t server_index) {
  forwarded(rules, family, IPPROTO_TCP)
      .counter()
      .forward(server_index, family.nfproto, family.sets.signal, family.destination_offset,
               family.address_octets);
  forwarded(rules, family, family.icmp)
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
      .in_set(family.sets.icmp)
      .counter()
      .forward(server_index, family.nfproto, family.sets.signal, family.destination_offset,
               family.address_octets);
}

}  // namespace

std::span<const SetShape> forward_sets() {
  static constexpr std::array<SetShape, 6> shapes{{
      {names_v4.signal, type_ipv4, 4, type_ipv4, 4},
      {names_v6.signal, type_ipv6, 16, type_ipv6, 16},
      {names_v4.join_only, type_ipv4, 4},
      {names_v6.join_only, type_ipv6, 16},
      {names_v4.icmp, type_icmp, 1},
      {names_v6.icmp, type_icmpv6, 1},
  }};
  return shapes;
}

std::map<std::string, Elements> forward_elements(const model::SignalForward& forward) {
  std::map<std::string, Elements> all;
  for (const SetShape& shape : forward_sets())
    all[shape.name];
  for (const std::uint8_t type : icmp_types)
    all[names_v4.icmp][{type}];
  for (const std::uint8_t type : icmpv6_types)
    all[names_v6.icmp][{type}];
  for (const auto& [signal, target] : forward.addresses) {
    const SetNames& sets = names(signal.address.family());
    all[sets.signal][octets_of(signal.address)] = octets_of(target.server);
    if (target.join_only) all[sets.join_only][octets_of(signal.address)];
  }
  return all;
}

TableObjects make_forward_table(const std::set<std::string>& client_devices,
                                std::uint32_t server_index) {
  TableObjects made = make_table(TableId::forward);
  made.chains.push_back(ingress_chain("guard", guard_priority, client_devices));
  made.chains.push_back(ingress_chain("forward", forward_priority, client_devices));
  Rules rules(made);
  guard_v4_fragments(rules);
  guard_v6_fragments(rules);
  guard_joins(rules, shape_v4);
  guard_joins(rules, shape_v6);
  forward_home(rules, shape_v4, server_index);
  forward_home(rules, shape_v6, server_index);
  return made;
}

}  // namespace lbctl::kernel::nft
