// Rules as iptables-nft makes them, which this machine may not have.
#include "nft/foreign_rule.hpp"

#include <doctest/doctest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
// The header below needs names from those above it.
#include <linux/netfilter/xt_conntrack.h>

#include <cstdlib>
#include <cstring>

using namespace lbctl::kernel::nft;
using Kind = lbctl::model::FilterRule::Kind;

namespace {

nftnl_expr* add(nftnl_rule& rule, const char* name) {
  nftnl_expr* out = nftnl_expr_alloc(name);
  REQUIRE(out != nullptr);
  nftnl_rule_add_expr(&rule, out);
  return out;
}

/// -m conntrack --ctstate: the rule owns what it is given, which has to come from malloc().
void add_state(nftnl_rule& rule, std::uint16_t states, bool inverted) {
  auto* info = static_cast<xt_conntrack_mtinfo3*>(std::calloc(1, sizeof(xt_conntrack_mtinfo3)));
  info->match_flags = XT_CONNTRACK_STATE;
  info->invert_flags = inverted ? XT_CONNTRACK_STATE : 0;
  info->state_mask = states;
  nftnl_expr* match = add(rule, "match");
  nftnl_expr_set_str(match, NFTNL_EXPR_MT_NAME, "conntrack");
  nftnl_expr_set_u32(match, NFTNL_EXPR_MT_REV, 3);
  nftnl_expr_set(match, NFTNL_EXPR_MT_INFO, info, sizeof *info);
}

std::optional<Kind> drops(std::uint16_t states, bool inverted, std::uint32_t verdict) {
  const RuleHandle rule(nftnl_rule_alloc());
  add_state(*rule, states, inverted);
  nftnl_expr* last = add(*rule, "immediate");
  nftnl_expr_set_u32(last, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(last, NFTNL_EXPR_IMM_VERDICT, verdict);
  return read_rule(*rule).drops;
}

}  // namespace

TEST_CASE("nft: iptables' --ctstate INVALID, dropped") {
  constexpr std::uint16_t invalid = XT_CONNTRACK_STATE_INVALID, other = 1 << 3;
  CHECK(drops(invalid, false, NF_DROP) == Kind::drops_invalid);
  CHECK(drops(invalid | other, false, NF_DROP) == Kind::drops_invalid);
  CHECK(!drops(other, false, NF_DROP));
  CHECK(!drops(invalid, true, NF_DROP));
  CHECK(!drops(invalid, false, NF_ACCEPT));
}

TEST_CASE("nft: iptables' REJECT, and where a rule jumps") {
  const RuleHandle rule(nftnl_rule_alloc());
  add_state(*rule, XT_CONNTRACK_STATE_INVALID, false);
  nftnl_expr_set_str(add(*rule, "target"), NFTNL_EXPR_TG_NAME, "REJECT");
  CHECK(read_rule(*rule).drops == Kind::drops_invalid);

  const RuleHandle jump(nftnl_rule_alloc());
  nftnl_expr* to = add(*jump, "immediate");
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(NFT_JUMP));
  nftnl_expr_set_str(to, NFTNL_EXPR_IMM_CHAIN, "ufw-before-input");
  CHECK(read_rule(*jump).jumps == std::set<std::string>{"ufw-before-input"});
}
