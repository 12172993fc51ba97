#include "forward_table.hpp"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "guard_table.hpp"

namespace lbctl::kernel::nft {
namespace {

using model::SignalCounters;
using Octet = std::array<std::uint8_t, 1>;

// Before `forward`, which takes what is left. The names say more than the numbers.
constexpr std::int32_t guard_priority = -10, limit_priority = -5, forward_priority = 0;

// Errors, without which path-MTU discovery is a black hole, and echo. Never neighbour discovery:
// the director answers for the signal address itself.
constexpr std::array<std::uint8_t, 5> icmp_types{ICMP_ECHOREPLY, ICMP_DEST_UNREACH, ICMP_ECHO,
                                                 ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
/// The errors among them.
constexpr std::array<std::uint8_t, 3> icmp_errors{ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED,
                                                  ICMP_PARAMETERPROB};
constexpr std::array<std::uint8_t, 6> icmpv6_types{ICMPV6_DEST_UNREACH, ICMPV6_PKT_TOOBIG,
                                                   ICMPV6_TIME_EXCEED,  ICMPV6_PARAMPROB,
                                                   ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY};

/// What the rules of the two families have apart.
struct FamilyShape {
  SetNames sets;
  model::Family family;
  std::uint32_t nfproto;
  std::uint32_t destination_offset, address_octets, hop_limit_offset;  ///< in the IP header
  std::uint8_t icmp;
};
constexpr FamilyShape shape_v4{names_v4, model::Family::v4, NFPROTO_IPV4, 16, 4, 8, IPPROTO_ICMP};
constexpr FamilyShape shape_v6{names_v6, model::Family::v6, NFPROTO_IPV6, 24, 16,
                               7,        IPPROTO_ICMPV6};

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
  rule.of_family(family.family).destination(family.family).in_set(family.sets.join_only);
  return rule;
}

void guard_hiding_fragments(Rules& rules, const FamilyShape& family) {
  guarded(rules, family)
      .hiding_fragment(family.family)
      .counter(&SignalCounters::fragments)
      .verdict(NF_DROP);
}

/// `… tcp flags syn / syn,ack`
RuleWriter guarded_syn(Rules& rules, const FamilyShape& family) {
  RuleWriter rule = guarded(rules, family);
  rule.meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, Octet{IPPROTO_TCP}).syn();
  return rule;
}

void guard_joins(Rules& rules, const FamilyShape& family) {
  // `subtype != 1 drop` would let a SYN without the option pass: first accept, then drop.
  guarded_syn(rules, family)
      .mptcp_subtype_octet()
      .mask(Octet{0xf0})
      .compare(NFT_CMP_EQ, Octet{0x10})
      .verdict(NF_ACCEPT);
  guarded_syn(rules, family).counter(&SignalCounters::not_joins).verdict(NF_DROP);
}

/// `ip frag-off & 8191 == 0 ip daddr . tcp dport @join_only_port4 tcp flags syn / syn,ack`
RuleWriter guarded_port_syn(Rules& rules) {
  RuleWriter rule = rules.add("guard");
  rule.of_family(shape_v4.family)
      .first_piece()
      .meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{IPPROTO_TCP})
      .destination(shape_v4.family)
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_01)
      .in_set(port_names.join_only)
      .syn();
  return rule;
}

void guard_port_joins(Rules& rules) {
  guarded_port_syn(rules)
      .mptcp_subtype_octet()
      .mask(Octet{0xf0})
      .compare(NFT_CMP_EQ, Octet{0x10})
      .verdict(NF_ACCEPT);
  guarded_port_syn(rules).counter(&SignalCounters::not_joins).verdict(NF_DROP);
}

/// `meta pkttype host ip ttl > 1`
RuleWriter live(Rules& rules, const FamilyShape& family) {
  RuleWriter rule = rules.add("forward");
  rule.meta(NFT_META_PKTTYPE)
      .compare(NFT_CMP_EQ, Octet{PACKET_HOST})
      .of_family(family.family)
      .payload(NFT_PAYLOAD_NETWORK_HEADER, family.hop_limit_offset, 1)
      .compare(NFT_CMP_GT, Octet{1});
  return rule;
}

/// `… meta l4proto …`
RuleWriter forwarded(Rules& rules, const FamilyShape& family, std::uint8_t protocol) {
  RuleWriter rule = live(rules, family);
  rule.meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, Octet{protocol});
  return rule;
}

/// `… ip frag-off & 8191 == 0 meta l4proto …`
RuleWriter forwarded_whole(Rules& rules, std::uint8_t protocol) {
  RuleWriter rule = live(rules, shape_v4);
  rule.first_piece().meta(NFT_META_L4PROTO).compare(NFT_CMP_EQ, Octet{protocol});
  return rule;
}

void forward_ports_home(Rules& rules, std::uint32_t server_index) {
  constexpr std::uint32_t quoted_source_port = 8 + 20;  // behind the ICMP and the quoted IP header
  forwarded_whole(rules, IPPROTO_TCP).forward_by_port(server_index, port_names.signal, 2);
  // `icmp type @icmp_error4 @th,64,8 0x45 @th,136,8 0x6`: about TCP, its IP header without options.
  forwarded_whole(rules, IPPROTO_ICMP)
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
      .in_set(port_names.icmp)
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 8, 1)
      .compare(NFT_CMP_EQ, Octet{0x45})
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 8 + 9, 1)
      .compare(NFT_CMP_EQ, Octet{IPPROTO_TCP})
      .forward_by_port(server_index, port_names.error, quoted_source_port);
}

void forward_home(Rules& rules, const FamilyShape& family, std::uint32_t server_index) {
  forwarded(rules, family, IPPROTO_TCP)
      .forward(server_index, family.nfproto, family.sets.signal, family.destination_offset,
               family.address_octets);
  forwarded(rules, family, family.icmp)
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1)
      .in_set(family.sets.icmp)
      .forward(server_index, family.nfproto, family.sets.signal, family.destination_offset,
               family.address_octets);
}

// What nft 1.0.6 notes of `typeof ip daddr . @th,224,16 : ip daddr`, so that it lists the map in
// these words; there is no name for the type of the second part.
constexpr std::string_view quoted_port(
    "\x00\x04\x00\x00\x00\x00\x01\x04\x02\x00\x00\x00\x03\x46\x00\x04"
    "\x0d\x00\x00\x00\x01\x3e\x00\x14\x00\x04\x07\x00\x00\x00\x01\x0c"
    "\x00\x04\x0c\x00\x00\x00\x01\x04\x0c\x00\x00\x00\x01\x26\x00\x04"
    "\x07\x00\x00\x00\x01\x1e\x00\x04\x00\x00\x00\x00\x01\x04\x00\x00"
    "\x00\x00\x02\x04\x03\x00\x00\x00\x03\x04\xe0\x00\x00\x00\x04\x04"
    "\x10\x00\x00\x00\x04\x14\x00\x04\x07\x00\x00\x00\x01\x0c\x00\x04"
    "\x0c\x00\x00\x00\x01\x04\x0c\x00\x00\x00\x06\x04\x00\x00\x00\x00",
    112);

}  // namespace

std::span<const SetShape> forward_sets() {
  static const std::array<SetShape, 10> shapes{{
      {names_v4.signal, type_ipv4, 4, type_ipv4, 4, true},
      {names_v6.signal, type_ipv6, 16, type_ipv6, 16, true},
      {names_v4.join_only, type_ipv4, 4},
      {names_v6.join_only, type_ipv6, 16},
      {names_v4.icmp, type_icmp, 1},
      {names_v6.icmp, type_icmpv6, 1},
      {port_names.signal, joined(type_ipv4, type_port), 8, type_ipv4, 4, true},
      {port_names.error, joined(type_ipv4, type_integer), 8, type_ipv4, 4, true, false,
       quoted_port},
      {port_names.join_only, joined(type_ipv4, type_port), 8},
      {port_names.icmp, type_icmp, 1},
  }};
  return shapes;
}

std::vector<SetShape> forward_shapes(const model::SignalForward& forward) {
  const bool brings_home = !forward.server_device.empty();
  std::vector<SetShape> out;
  for (const SetShape& shape : forward_sets())
    if (brings_home || shape.name.starts_with("join_only")) out.push_back(shape);
  std::ranges::move(guard_shapes(forward), std::back_inserter(out));
  return out;
}

Octets port_key(const model::EndpointKey& key) {
  Octets out = octets_of(key.address);
  append(out, octets_of(key.port));
  return out;
}

std::optional<model::EndpointKey> endpoint_of(const Octets& octets) {
  if (octets.size() != 8 && octets.size() != 20) return std::nullopt;
  const auto address = model::IpAddress::from_octets(std::span(octets).first(octets.size() - 4));
  const std::size_t at = octets.size() - 4;
  const model::Port port{static_cast<std::uint16_t>(octets[at] << 8 | octets[at + 1])};
  // Port 0 would be read as a whole address.
  if (!address || number(port) == 0) return std::nullopt;
  return model::EndpointKey{*address, port};
}

std::map<std::string, Elements> forward_elements(const model::SignalForward& forward) {
  std::map<std::string, Elements> all;
  for (const SetShape& shape : forward_shapes(forward))
    all[shape.name];
  if (!forward.server_device.empty()) {
    for (const std::uint8_t type : icmp_types)
      all[names_v4.icmp][{type}];
    for (const std::uint8_t type : icmpv6_types)
      all[names_v6.icmp][{type}];
    for (const std::uint8_t type : icmp_errors)
      all[port_names.icmp][{type}];
  }
  add_guard_elements(forward, all);
  for (const auto& [signal, target] : forward.addresses) {
    if (number(signal.port) != 0) {
      const Octets key = port_key(signal);
      if (target.server)
        all[port_names.signal][key] = all[port_names.error][key] = octets_of(*target.server);
      if (target.join_only) all[port_names.join_only][key];
      continue;
    }
    const SetNames& sets = names(signal.address.family());
    if (target.server) all[sets.signal][octets_of(signal.address)] = octets_of(*target.server);
    if (target.join_only) all[sets.join_only][octets_of(signal.address)];
  }
  return all;
}

TableObjects make_forward_table(const model::SignalForward& forward, std::uint32_t server_index) {
  TableObjects made = make_table(TableId::forward, forward_shapes(forward));
  made.chains.push_back(ingress_chain("guard", guard_priority, forward.client_devices));
  Rules rules(made);
  guard_hiding_fragments(rules, shape_v4);
  guard_hiding_fragments(rules, shape_v6);
  guard_fragments(made, forward);
  guard_joins(rules, shape_v4);
  guard_joins(rules, shape_v6);
  guard_port_joins(rules);
  guard_mptcp_only(made, forward);
  if (!forward.limits.empty()) {
    made.chains.push_back(ingress_chain("rates", limit_priority, forward.client_devices));
    limit_sources(made, forward);
  }
  if (forward.server_device.empty()) return made;
  made.chains.push_back(ingress_chain("forward", forward_priority, forward.client_devices));
  forward_home(rules, shape_v4, server_index);
  forward_home(rules, shape_v6, server_index);
  forward_ports_home(rules, server_index);
  return made;
}

}  // namespace lbctl::kernel::nft
