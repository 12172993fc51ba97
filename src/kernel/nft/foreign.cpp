// Reads the tables that are not lbctl's.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <cerrno>
#include <map>
#include <tuple>

#include "foreign_rule.hpp"
#include "lbctl/kernel/nft.hpp"
#include "lbctl/model/nft.hpp"
#include "request.hpp"

namespace lbctl::kernel {
namespace {

using model::FilterRule;
using netlink::NfnlSocket;
using nft::ForeignRule;

struct ChainKey {
  std::uint32_t family = 0;
  std::string table, chain;
  friend auto operator<=>(const ChainKey&, const ChainKey&) = default;
};

struct Ruleset {
  std::map<ChainKey, std::string> hooks;  ///< of base chains, and of what they jump to
  std::vector<ForeignRule> rules;
};

std::string family_name(std::uint32_t family) {
  switch (family) {
    case NFPROTO_INET:
      return "inet";
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_NETDEV:
      return "netdev";
    default:
      return "";
  }
}

std::string hook_name(std::uint32_t family, std::uint32_t hook) {
  static constexpr const char* names[] = {"prerouting", "input", "forward", "output",
                                          "postrouting"};
  if (family == NFPROTO_NETDEV) return "ingress";
  return hook < std::size(names) ? names[hook] : "ingress";
}

void take_chain(const nlmsghdr& message, Ruleset& out) {
  const nft::ChainHandle chain(nftnl_chain_alloc());
  if (!chain || nftnl_chain_nlmsg_parse(&message, chain.get()) < 0 ||
      !nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM))
    return;
  const auto family = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY);
  out.hooks[{family, nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE),
             nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)}] =
      hook_name(family, nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM));
}

void take_rule(const nlmsghdr& message, Ruleset& out) {
  const nft::RuleHandle rule(nftnl_rule_alloc());
  if (!rule || nftnl_rule_nlmsg_parse(&message, rule.get()) < 0) return;
  ForeignRule one = nft::read_rule(*rule);
  const bool ours = one.table == model::nft_table_name;
  if (!ours && (one.drops || !one.jumps.empty())) out.rules.push_back(std::move(one));
}

/// Chains that are jumped to are walked at the hook of those that jump.
void follow_jumps(Ruleset& ruleset) {
  for (bool more = true; more;) {
    more = false;
    for (const ForeignRule& rule : ruleset.rules) {
      const auto from = ruleset.hooks.find({rule.family, rule.table, rule.chain});
      if (from == ruleset.hooks.end()) continue;
      const std::string hook = from->second;
      for (const std::string& to : rule.jumps)
        more |= ruleset.hooks.try_emplace({rule.family, rule.table, to}, hook).second;
    }
  }
}

Result<bool> in_set(NfnlSocket& socket, const ForeignRule& rule) {
  bool found = false;
  auto done = nft::get(
      socket, static_cast<std::uint16_t>(rule.family), NFT_MSG_GETSETELEM, NLM_F_DUMP,
      [&](const nlmsghdr& message) {
        const nft::SetHandle set(nftnl_set_alloc());
        if (set && nftnl_set_elems_nlmsg_parse(&message, set.get()) >= 0)
          found |= nft::holds_invalid(*set, rule.if_in->map);
      },
      [&](nlmsghdr* request) {
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, rule.table.c_str());
        mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, rule.if_in->set.c_str());
      });
  // Gone since the rules were read.
  if (!done && done.error().sys() != ENOENT) return fail(std::move(done).error());
  return found;
}

Result<Ruleset> read_ruleset(NfnlSocket& socket) {
  Ruleset out;
  const auto nothing = [](nlmsghdr*) {};
  auto done = nft::get(
      socket, NFPROTO_UNSPEC, NFT_MSG_GETCHAIN, NLM_F_DUMP,
      [&](const nlmsghdr& message) { take_chain(message, out); }, nothing);
  if (done)
    done = nft::get(
        socket, NFPROTO_UNSPEC, NFT_MSG_GETRULE, NLM_F_DUMP,
        [&](const nlmsghdr& message) { take_rule(message, out); }, nothing);
  if (!done) return fail(std::move(done).error());
  follow_jumps(out);
  return out;
}

Result<std::vector<FilterRule>> read_once(NfnlSocket& socket) {
  const auto ruleset = read_ruleset(socket);
  if (!ruleset) return fail(ruleset.error());
  std::vector<FilterRule> out;
  for (const ForeignRule& rule : ruleset->rules) {
    if (!rule.drops || family_name(rule.family).empty()) continue;
    const auto held = rule.if_in ? in_set(socket, rule) : Result<bool>(true);
    if (!held) return fail(held.error());
    if (!*held) continue;
    const auto hook = ruleset->hooks.find({rule.family, rule.table, rule.chain});
    out.push_back({*rule.drops, family_name(rule.family), rule.table, rule.chain,
                   hook == ruleset->hooks.end() ? "" : hook->second, rule.handle});
  }
  return out;
}

}  // namespace

Result<std::vector<FilterRule>> read_foreign_rules() {
  auto socket = NfnlSocket::open();
  if (!socket) return fail(std::move(socket).error().during("nft"));
  for (int tries = 0; tries < nft::dump_tries; ++tries) {
    auto found = read_once(*socket);
    if (found || found.error().sys() != EINTR)
      return found ? std::move(found)
                   : Result<std::vector<FilterRule>>(fail(nft::failed_read(found.error())));
  }
  return fail(Errc::busy, "nft: read the ruleset: it changes all the time");
}

}  // namespace lbctl::kernel
