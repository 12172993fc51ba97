// The words that lbctl's rules are made of: each adds one expression of the kernel's rule machine
// (include/uapi/linux/netfilter/nf_tables.h). Register 1 holds what is looked at.
#pragma once

#include <cstdint>
#include <span>

#include "lbctl/model/address.hpp"
#include "lbctl/model/nft.hpp"
#include "nftnl.hpp"

namespace lbctl::kernel::nft {

/// Whose packets a rule counts: a part of model::SignalCounters.
using Counted = std::uint64_t model::SignalCounters::*;

/// Adds to a rule; lives no longer than the rule, and until the next is begun.
class RuleWriter {
 public:
  /// `counted` becomes what the rule counts.
  RuleWriter(nftnl_rule& rule, Counted& counted) : rule_(rule), counted_(counted) {}

  RuleWriter& meta(std::uint32_t key);  ///< NFT_META_*
  /// `base` is NFT_PAYLOAD_*; offset and length in octets.
  RuleWriter& payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length,
                      std::uint32_t reg = 1);
  RuleWriter& of_family(model::Family family);  ///< `meta protocol ip`
  RuleWriter& source(model::Family family);
  RuleWriter& destination(model::Family family);
  /// `ip frag-off & 8191 == 0`: later pieces have no port, but kernels that read it the fast way
  /// take whatever stands in its place.
  RuleWriter& first_piece();
  /// A piece that begins 8..56 octets into the TCP header, where the flags or the option could
  /// hide: `ip frag-off & 8184 == 0 ip frag-off & 7 != 0`, `frag frag-off 1-7`.
  RuleWriter& hiding_fragment(model::Family family);
  RuleWriter& syn();                   ///< `tcp flags syn / syn,ack`
  RuleWriter& ipv6_fragment_offset();  ///< the 16 bits of the fragment header, flags included
  RuleWriter& mptcp_subtype_octet();   ///< subtype in the upper 4 bits; no match without the option
  RuleWriter& mptcp_present();         ///< 1 with an MPTCP option, 0 without
  RuleWriter& mask(std::span<const std::uint8_t> bits);
  RuleWriter& compare(std::uint32_t op, std::span<const std::uint8_t> value);  ///< NFT_CMP_*
  RuleWriter& in_set(const char* set);
  /// `update @SET { … limit rate over … }` for the source in register 1: goes on only with what is
  /// above the rate.
  RuleWriter& update_limit(const char* set, std::uint64_t packets, std::uint64_t seconds,
                           std::uint32_t burst);
  RuleWriter& look_up(const char* map, std::uint32_t reg);  ///< key and answer in `reg`
  RuleWriter& set_mark();                                   ///< the packet's mark from register 1
  RuleWriter& untrack();                                    ///< `notrack`
  RuleWriter& counter(Counted what);
  RuleWriter& verdict(int verdict);  ///< NF_ACCEPT, NF_DROP
  /// To the neighbour whose address is in register 2, out of the device with this index.
  RuleWriter& forward(std::uint32_t device_index, std::uint32_t nfproto, const char* map,
                      std::uint32_t address_offset, std::uint32_t address_length);
  /// The same for IPv4, by address and the 2 octets at `port_offset` of the transport header.
  RuleWriter& forward_by_port(std::uint32_t device_index, const char* map,
                              std::uint32_t port_offset);

 private:
  RuleWriter& out_of(std::uint32_t device_index);
  RuleWriter& send(std::uint32_t nfproto);
  nftnl_expr* add(const char* name);
  nftnl_rule& rule_;
  Counted& counted_;
};

}  // namespace lbctl::kernel::nft
