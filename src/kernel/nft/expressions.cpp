#include "expressions.hpp"

#include <linux/in6.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <new>

namespace lbctl::kernel::nft {
namespace {

constexpr std::uint32_t tcp_option_mptcp = 30;  // RFC 8684

using model::Family;
using Octet = std::array<std::uint8_t, 1>;
using TwoOctets = std::array<std::uint8_t, 2>;

}  // namespace

nftnl_expr* RuleWriter::add(const char* name) {
  nftnl_expr* expr = nftnl_expr_alloc(name);
  // Every name here is known to libnftnl, so that only memory can be missing.
  if (expr == nullptr) throw std::bad_alloc();
  nftnl_rule_add_expr(&rule_, expr);
  return expr;
}

RuleWriter& RuleWriter::meta(std::uint32_t key) {
  nftnl_expr* expr = add("meta");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
  return *this;
}

RuleWriter& RuleWriter::payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length,
                                std::uint32_t reg) {
  nftnl_expr* expr = add("payload");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, length);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_PAYLOAD_DREG, reg);
  return *this;
}

RuleWriter& RuleWriter::ipv6_fragment_offset() {
  nftnl_expr* expr = add("exthdr");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_IPV6);
  nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, IPPROTO_FRAGMENT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, 2);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_LEN, 2);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
  return *this;
}

RuleWriter& RuleWriter::mptcp_subtype_octet() {
  nftnl_expr* expr = add("exthdr");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
  nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, tcp_option_mptcp);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, 2);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_LEN, 1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
  return *this;
}

RuleWriter& RuleWriter::mptcp_present() {
  nftnl_expr* expr = add("exthdr");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
  nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, tcp_option_mptcp);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, 0);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_LEN, 1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
  return *this;
}

RuleWriter& RuleWriter::of_family(Family family) {
  const TwoOctets type = family == Family::v4 ? TwoOctets{0x08, 0x00} : TwoOctets{0x86, 0xdd};
  return meta(NFT_META_PROTOCOL).compare(NFT_CMP_EQ, type);
}

RuleWriter& RuleWriter::source(Family family) {
  const bool v4 = family == Family::v4;
  return payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, v4 ? 4 : 16);
}

RuleWriter& RuleWriter::destination(Family family) {
  const bool v4 = family == Family::v4;
  return payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, v4 ? 4 : 16);
}

RuleWriter& RuleWriter::first_piece() {
  return payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2)
      .mask(TwoOctets{0x1f, 0xff})
      .compare(NFT_CMP_EQ, TwoOctets{0, 0});
}

RuleWriter& RuleWriter::hiding_fragment(Family family) {
  if (family == Family::v4)
    return payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2)
        .mask(TwoOctets{0x1f, 0xf8})
        .compare(NFT_CMP_EQ, TwoOctets{0, 0})
        .payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2)
        .mask(TwoOctets{0x00, 0x07})
        .compare(NFT_CMP_NEQ, TwoOctets{0, 0});
  return ipv6_fragment_offset()
      .mask(TwoOctets{0xff, 0xf8})
      .compare(NFT_CMP_GTE, TwoOctets{0x00, 1 << 3})
      .compare(NFT_CMP_LTE, TwoOctets{0x00, 7 << 3});
}

RuleWriter& RuleWriter::syn() {
  return payload(NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1)
      .mask(Octet{0x12})
      .compare(NFT_CMP_EQ, Octet{0x02});
}

RuleWriter& RuleWriter::mask(std::span<const std::uint8_t> bits) {
  const auto length = static_cast<std::uint32_t>(bits.size());
  const std::array<std::uint8_t, 16> zero{};
  nftnl_expr* expr = add("bitwise");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_MASK, bits.data(), length);
  nftnl_expr_set(expr, NFTNL_EXPR_BITWISE_XOR, zero.data(), length);
  return *this;
}

RuleWriter& RuleWriter::compare(std::uint32_t op, std::span<const std::uint8_t> value) {
  nftnl_expr* expr = add("cmp");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_CMP_OP, op);
  nftnl_expr_set(expr, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

RuleWriter& RuleWriter::in_set(const char* set) {
  nftnl_expr* expr = add("lookup");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, set);
  // The default, but the kernel always gives it back, and what it gives back is compared.
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);
  return *this;
}

RuleWriter& RuleWriter::update_limit(const char* set, std::uint64_t packets, std::uint64_t seconds,
                                     std::uint32_t burst) {
  nftnl_expr* limit = nftnl_expr_alloc("limit");
  if (limit == nullptr) throw std::bad_alloc();
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, packets);
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, seconds);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, burst);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  nftnl_expr* expr = add("dynset");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
  nftnl_expr_set_str(expr, NFTNL_EXPR_DYNSET_SET_NAME, set);
  // That of the set; the kernel gives it back, and what it gives back is compared.
  nftnl_expr_set_u64(expr, NFTNL_EXPR_DYNSET_TIMEOUT, 0);
  nftnl_expr_add_expr(expr, NFTNL_EXPR_DYNSET_EXPRESSIONS, limit);
  return *this;
}

RuleWriter& RuleWriter::look_up(const char* map, std::uint32_t reg) {
  nftnl_expr* expr = add("lookup");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, reg);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, reg);
  nftnl_expr_set_str(expr, NFTNL_EXPR_LOOKUP_SET, map);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);
  return *this;
}

RuleWriter& RuleWriter::set_mark() {
  nftnl_expr* expr = add("meta");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_META_SREG, NFT_REG_1);
  return *this;
}

RuleWriter& RuleWriter::untrack() {
  add("notrack");
  return *this;
}

RuleWriter& RuleWriter::counter(Counted what) {
  counted_ = what;
  add("counter");
  return *this;
}

RuleWriter& RuleWriter::verdict(int verdict) {
  nftnl_expr* expr = add("immediate");
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expr, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict));
  return *this;
}

RuleWriter& RuleWriter::out_of(std::uint32_t device_index) {
  nftnl_expr* device = add("immediate");
  nftnl_expr_set_u32(device, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set(device, NFTNL_EXPR_IMM_DATA, &device_index, sizeof device_index);
  return *this;
}

RuleWriter& RuleWriter::send(std::uint32_t nfproto) {
  nftnl_expr* fwd = add("fwd");
  nftnl_expr_set_u32(fwd, NFTNL_EXPR_FWD_SREG_DEV, NFT_REG_1);
  nftnl_expr_set_u32(fwd, NFTNL_EXPR_FWD_SREG_ADDR, NFT_REG_2);
  nftnl_expr_set_u32(fwd, NFTNL_EXPR_FWD_NFPROTO, nfproto);
  return *this;
}

RuleWriter& RuleWriter::forward(std::uint32_t device_index, std::uint32_t nfproto, const char* map,
                                std::uint32_t address_offset, std::uint32_t address_length) {
  out_of(device_index);
  payload(NFT_PAYLOAD_NETWORK_HEADER, address_offset, address_length, NFT_REG_2);
  look_up(map, NFT_REG_2);
  return send(nfproto);
}

RuleWriter& RuleWriter::forward_by_port(std::uint32_t device_index, const char* map,
                                        std::uint32_t port_offset) {
  out_of(device_index);
  payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_REG_2);
  payload(NFT_PAYLOAD_TRANSPORT_HEADER, port_offset, 2, NFT_REG32_05);  // right behind the address
  look_up(map, NFT_REG_2);
  return send(NFPROTO_IPV4);
}

}  // namespace lbctl::kernel::nft
