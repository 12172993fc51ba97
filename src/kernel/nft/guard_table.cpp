#include "guard_table.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstring>
#include <string_view>

#include "forward_table.hpp"

namespace lbctl::kernel::nft {
namespace {

using model::Family;
using model::SignalCounters;
using Octet = std::array<std::uint8_t, 1>;
using TwoOctets = std::array<std::uint8_t, 2>;

/// So many sources are remembered for each limit; those beyond are not limited. nft's own default.
constexpr std::uint32_t most_sources = 65535;
/// Milliseconds after which a source is forgotten.
constexpr std::uint64_t source_timeout = 60'000;

constexpr std::array families{Family::v4, Family::v6};

struct GuardNames {
  const char* mptcp_only;  ///< set: VIPs and ports that take MPTCP only
  const char* whole;       ///< set: addresses where no fragment may hide a SYN
};
constexpr GuardNames guard_v4{"mptcp_only4", "whole4"}, guard_v6{"mptcp_only6", "whole6"};

constexpr const GuardNames& guard_names(Family family) {
  return family == Family::v4 ? guard_v4 : guard_v6;
}

bool any(const model::SignalForward& forward) {
  return !forward.mptcp_only.empty() || !forward.limits.empty();
}

std::string targets_of(const std::string& limit) {
  return limit + "_to";
}

Family family_of(const model::SourceLimit& limit) {
  return limit.to.begin()->address.family();
}

std::uint32_t type_of(Family family) {
  return family == Family::v4 ? type_ipv4 : type_ipv6;
}

std::uint32_t octets_in(Family family) {
  return family == Family::v4 ? 4 : 16;
}

SetShape targets_shape(std::string name, Family family) {
  return {.name = std::move(name),
          .key_type = joined(type_of(family), type_port),
          .key_octets = octets_in(family) + 4};
}

Octets mask_of(std::uint8_t prefix, std::uint32_t octets) {
  Octets out(octets, 0);
  for (std::uint32_t bit = 0; bit < prefix; ++bit)
    out[bit / 8] = static_cast<std::uint8_t>(out[bit / 8] | 0x80 >> (bit % 8));
  return out;
}

/// `ip frag-off & 8191 == 0 ip daddr . tcp dport @SET tcp flags syn / syn,ack`
RuleWriter syn_to(TableObjects& to, const char* chain, Family family, const std::string& set) {
  RuleWriter rule = add_rule(to, TableId::forward, chain);
  rule.of_family(family);
  if (family == Family::v4) rule.first_piece();
  rule.meta(NFT_META_L4PROTO)
      .compare(NFT_CMP_EQ, Octet{IPPROTO_TCP})
      .destination(family)
      // The port behind the address; the kernel has two names for a register on whole 16 octets.
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2,
               family == Family::v4 ? std::uint32_t{NFT_REG32_01} : std::uint32_t{NFT_REG_2})
      .in_set(set.c_str())
      .syn();
  return rule;
}

struct LimitSearch {
  std::uint32_t mask_bits = 0;  ///< of the last mask that has the length of an address; 0: none
  std::string set;
  std::optional<model::Rate> rate;
};

int search_rate(nftnl_expr* expr, void* out) {
  auto& search = *static_cast<LimitSearch*>(out);
  if (std::string_view(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME)) != "limit") return 0;
  const std::uint64_t unit = nftnl_expr_get_u64(expr, NFTNL_EXPR_LIMIT_UNIT);
  for (const model::RateUnit known :
       {model::RateUnit::second, model::RateUnit::minute, model::RateUnit::hour})
    if (model::seconds(known) == unit)
      search.rate = {static_cast<std::uint32_t>(nftnl_expr_get_u64(expr, NFTNL_EXPR_LIMIT_RATE)),
                     known, nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_BURST)};
  return 0;
}

int search_limit(nftnl_expr* expr, void* out) {
  auto& search = *static_cast<LimitSearch*>(out);
  const std::string_view name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
  if (name == "bitwise") {
    std::uint32_t length = 0;
    const void* mask = nftnl_expr_get(expr, NFTNL_EXPR_BITWISE_MASK, &length);
    if (mask == nullptr || (length != 4 && length != 16)) return 0;
    Octets octets(length);
    std::memcpy(octets.data(), mask, length);
    search.mask_bits = 0;
    for (const std::uint8_t octet : octets)
      search.mask_bits += static_cast<std::uint32_t>(__builtin_popcount(octet));
  } else if (name == "dynset" && search.set.empty()) {
    if (const char* set = nftnl_expr_get_str(expr, NFTNL_EXPR_DYNSET_SET_NAME)) search.set = set;
    nftnl_expr_expr_foreach(expr, search_rate, &search);
  }
  return 0;
}

}  // namespace

std::vector<SetShape> guard_shapes(const model::SignalForward& forward) {
  std::vector<SetShape> out;
  if (!any(forward)) return out;
  for (const Family family : families) {
    const GuardNames& sets = guard_names(family);
    out.push_back(
        {.name = sets.whole, .key_type = type_of(family), .key_octets = octets_in(family)});
    out.push_back(targets_shape(sets.mptcp_only, family));
  }
  for (const auto& [name, limit] : forward.limits) {
    const Family family = family_of(limit);
    out.push_back(targets_shape(targets_of(name), family));
    out.push_back({.name = name,
                   .key_type = type_of(family),
                   .key_octets = octets_in(family),
                   .size = most_sources,
                   .timeout = source_timeout});
  }
  return out;
}

void add_guard_elements(const model::SignalForward& forward, std::map<std::string, Elements>& all) {
  const auto add = [&](const std::string& set, const model::EndpointKey& to) {
    all[set][port_key(to)];
    all[guard_names(to.address.family()).whole][octets_of(to.address)];
  };
  for (const model::EndpointKey& to : forward.mptcp_only)
    add(guard_names(to.address.family()).mptcp_only, to);
  for (const auto& [name, limit] : forward.limits)
    for (const model::EndpointKey& to : limit.to)
      add(targets_of(name), to);
}

void guard_fragments(TableObjects& to, const model::SignalForward& forward) {
  if (!any(forward)) return;
  for (const Family family : families)
    add_rule(to, TableId::forward, "guard")
        .of_family(family)
        .destination(family)
        .in_set(guard_names(family).whole)
        .hiding_fragment(family)
        .counter(&SignalCounters::fragments)
        .verdict(NF_DROP);
}

void guard_mptcp_only(TableObjects& to, const model::SignalForward& forward) {
  if (!any(forward)) return;
  for (const Family family : families)
    syn_to(to, "guard", family, guard_names(family).mptcp_only)
        .mptcp_present()
        .compare(NFT_CMP_EQ, Octet{0})
        .counter(&SignalCounters::not_mptcp)
        .verdict(NF_DROP);
}

void limit_sources(TableObjects& to, const model::SignalForward& forward) {
  for (const auto& [name, limit] : forward.limits) {
    const Family family = family_of(limit);
    const std::uint32_t octets = octets_in(family);
    RuleWriter rule = syn_to(to, "rates", family, targets_of(name));
    rule.source(family);
    if (limit.prefix < octets * 8) rule.mask(mask_of(limit.prefix, octets));
    rule.update_limit(name.c_str(), limit.rate.packets, model::seconds(limit.rate.per),
                      limit.rate.burst)
        .counter(&SignalCounters::over_rate)
        .verdict(NF_DROP);
  }
}

std::optional<std::pair<std::string, model::SourceLimit>> limit_in(const nftnl_rule& rule) {
  LimitSearch search;
  nftnl_expr_foreach(const_cast<nftnl_rule*>(&rule), search_limit, &search);
  if (search.set.empty() || !search.rate) return std::nullopt;
  model::SourceLimit limit;
  limit.rate = *search.rate;
  limit.prefix = static_cast<std::uint8_t>(search.mask_bits);
  return std::pair(search.set, limit);
}

bool read_guard(const std::map<std::string, Elements>& elements, model::SignalForward& out) {
  bool whole = true;
  const auto read = [&](const std::string& set, std::set<model::EndpointKey>& to) {
    const auto found = elements.find(set);
    if (found == elements.end()) return;
    for (const auto& [octets, value] : found->second) {
      const auto key = endpoint_of(octets);
      whole = whole && key;
      if (key) to.insert(*key);
    }
  };
  for (const Family family : families)
    read(guard_names(family).mptcp_only, out.mptcp_only);
  for (auto& [name, limit] : out.limits) {
    read(targets_of(name), limit.to);
    // No mask: the whole address.
    if (limit.prefix == 0 && !limit.to.empty())
      limit.prefix = static_cast<std::uint8_t>(octets_in(family_of(limit)) * 8);
  }
  // One for nothing can't be made again: it is no limit of lbctl's.
  return std::erase_if(out.limits, [](const auto& entry) { return entry.second.to.empty(); }) ==
             0 &&
         whole;
}

}  // namespace lbctl::kernel::nft
