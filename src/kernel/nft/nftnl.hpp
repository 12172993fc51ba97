// libnftnl's objects with their owners.
#pragma once

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "lbctl/base/handle.hpp"

namespace lbctl::kernel::nft {

using TableHandle = CHandle<nftnl_table, &nftnl_table_free>;
using ChainHandle = CHandle<nftnl_chain, &nftnl_chain_free>;
using RuleHandle = CHandle<nftnl_rule, &nftnl_rule_free>;
using SetHandle = CHandle<nftnl_set, &nftnl_set_free>;

}  // namespace lbctl::kernel::nft
