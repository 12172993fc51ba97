#include "foreign_rule.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
// The header below needs names from those above it.
#include <linux/netfilter/xt_conntrack.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

namespace lbctl::kernel::nft {
namespace {

using Kind = model::FilterRule::Kind;

// NF_CT_STATE_INVALID_BIT of the kernel, as `ct state` holds it.
constexpr std::uint32_t invalid_bit = 1;

struct FreeElements {
  void operator()(nftnl_set_elems_iter* iter) const { nftnl_set_elems_iter_destroy(iter); }
};
struct FreeExpressions {
  void operator()(nftnl_expr_iter* iter) const { nftnl_expr_iter_destroy(iter); }
};

/// A register's worth of an attribute; 0 if there is none.
std::uint32_t word_of(const nftnl_expr& expression, std::uint16_t attribute) {
  std::uint32_t length = 0, out = 0;
  const void* data = nftnl_expr_get(&expression, attribute, &length);
  if (data != nullptr) std::memcpy(&out, data, std::min<std::size_t>(length, sizeof out));
  return out;
}

std::string text_of(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

/// Goes through a rule's expressions, as the kernel does.
class Reader {
 public:
  explicit Reader(ForeignRule& out) : out_(out) {}

  void take(const nftnl_expr& one) {
    const std::string_view name = text_of_name(one);
    if (name == "ct") {
      loaded_ = nftnl_expr_get_u32(&one, NFTNL_EXPR_CT_KEY) == NFT_CT_STATE ? Loaded::state
                                                                            : Loaded::other;
    } else if (name == "fib") {
      const auto flags = nftnl_expr_get_u32(&one, NFTNL_EXPR_FIB_FLAGS);
      loaded_ = (flags & NFTA_FIB_F_SADDR) != 0 ? Loaded::back_path : Loaded::other;
    } else if (name == "bitwise") {
      if (loaded_ == Loaded::state && (word_of(one, NFTNL_EXPR_BITWISE_MASK) & invalid_bit) != 0)
        loaded_ = Loaded::invalid;
      else
        loaded_ = Loaded::other;
    } else if (name == "cmp") {
      compare(one);
    } else if (name == "lookup") {
      look_up(one);
    } else if (name == "match") {
      match(one);
    } else if (name == "immediate") {
      verdict(one);
    } else if (name == "reject" || (name == "target" && target_of(one) == "REJECT")) {
      drop();
    } else if (name == "meta" || name == "payload" || name == "exthdr") {
      loaded_ = Loaded::other;
    }
  }

 private:
  enum class Loaded { other, state, invalid, back_path };

  static std::string_view text_of_name(const nftnl_expr& one) {
    const char* name = nftnl_expr_get_str(&one, NFTNL_EXPR_NAME);
    return name == nullptr ? std::string_view() : std::string_view(name);
  }
  static std::string target_of(const nftnl_expr& one) {
    return text_of(nftnl_expr_get_str(&one, NFTNL_EXPR_TG_NAME));
  }

  void compare(const nftnl_expr& one) {
    const bool equal = nftnl_expr_get_u32(&one, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ;
    const std::uint32_t value = word_of(one, NFTNL_EXPR_CMP_DATA);
    if (loaded_ == Loaded::invalid && !equal && value == 0) matched_ = Kind::drops_invalid;
    if (loaded_ == Loaded::state && equal && value == invalid_bit) matched_ = Kind::drops_invalid;
    if (loaded_ == Loaded::back_path && equal && value == 0) matched_ = Kind::reverse_path;
  }

  void look_up(const nftnl_expr& one) {
    const bool inverted =
        (nftnl_expr_get_u32(&one, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0;
    if (loaded_ != Loaded::state || inverted) return;
    const bool map = nftnl_expr_is_set(&one, NFTNL_EXPR_LOOKUP_DREG);
    if (map && nftnl_expr_get_u32(&one, NFTNL_EXPR_LOOKUP_DREG) != NFT_REG_VERDICT) return;
    out_.if_in = {text_of(nftnl_expr_get_str(&one, NFTNL_EXPR_LOOKUP_SET)), map};
    matched_ = Kind::drops_invalid;
    if (map) drop();
  }

  /// iptables' `-m conntrack --ctstate`, of its third revision: the only one that is in use.
  void match(const nftnl_expr& one) {
    if (text_of(nftnl_expr_get_str(&one, NFTNL_EXPR_MT_NAME)) != "conntrack") return;
    std::uint32_t length = 0;
    const void* data = nftnl_expr_get(&one, NFTNL_EXPR_MT_INFO, &length);
    if (data == nullptr || length < sizeof(xt_conntrack_mtinfo3)) return;
    xt_conntrack_mtinfo3 info{};
    std::memcpy(&info, data, sizeof info);
    const bool by_state = (info.match_flags & XT_CONNTRACK_STATE) != 0 &&
                          (info.invert_flags & XT_CONNTRACK_STATE) == 0;
    if (by_state && (info.state_mask & XT_CONNTRACK_STATE_INVALID) != 0)
      matched_ = Kind::drops_invalid;
  }

  void verdict(const nftnl_expr& one) {
    if (!nftnl_expr_is_set(&one, NFTNL_EXPR_IMM_VERDICT)) return;
    const auto what = static_cast<int>(nftnl_expr_get_u32(&one, NFTNL_EXPR_IMM_VERDICT));
    if (what == NF_DROP) drop();
    if (what == NFT_JUMP || what == NFT_GOTO)
      out_.jumps.insert(text_of(nftnl_expr_get_str(&one, NFTNL_EXPR_IMM_CHAIN)));
  }

  void drop() {
    if (!out_.drops) out_.drops = matched_;
  }

  ForeignRule& out_;
  Loaded loaded_ = Loaded::other;
  std::optional<Kind> matched_;
};

}  // namespace

ForeignRule read_rule(const nftnl_rule& rule) {
  ForeignRule out{.table = text_of(nftnl_rule_get_str(&rule, NFTNL_RULE_TABLE)),
                  .chain = text_of(nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN)),
                  .family = nftnl_rule_get_u32(&rule, NFTNL_RULE_FAMILY),
                  .handle = nftnl_rule_get_u64(&rule, NFTNL_RULE_HANDLE)};
  const std::unique_ptr<nftnl_expr_iter, FreeExpressions> iter(nftnl_expr_iter_create(&rule));
  Reader reader(out);
  while (const nftnl_expr* one = iter ? nftnl_expr_iter_next(iter.get()) : nullptr)
    reader.take(*one);
  if (!out.drops) out.if_in.reset();
  return out;
}

bool holds_invalid(const nftnl_set& elements, bool map) {
  const std::unique_ptr<nftnl_set_elems_iter, FreeElements> iter(
      nftnl_set_elems_iter_create(&elements));
  while (nftnl_set_elem* one = iter ? nftnl_set_elems_iter_next(iter.get()) : nullptr) {
    std::uint32_t length = 0, state = 0;
    const void* key = nftnl_set_elem_get(one, NFTNL_SET_ELEM_KEY, &length);
    if (key == nullptr || length != sizeof state) continue;
    std::memcpy(&state, key, sizeof state);
    if (state != invalid_bit) continue;
    if (!map) return true;
    if (nftnl_set_elem_is_set(one, NFTNL_SET_ELEM_VERDICT) &&
        static_cast<int>(nftnl_set_elem_get_u32(one, NFTNL_SET_ELEM_VERDICT)) == NF_DROP)
      return true;
  }
  return false;
}

}  // namespace lbctl::kernel::nft
