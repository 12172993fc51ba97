// The director's nftables table `netdev lbctl` (rules/director-forward.nft), through nfnetlink.
#pragma once

#include <memory>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/backend.hpp"
#include "lbctl/model/diagnosis.hpp"

namespace lbctl::kernel {

/// Opens its socket at the first observe or execute, in the network namespace of that moment.
/// A run is one transaction: on an error nothing of it took effect (done == 0).
/// Errors: unsupported (no nf_tables, netdev chains or fwd in this kernel), permission
/// (CAP_NET_ADMIN), not_found (a device), conflict (the table or an element is not as observed).
Result<std::unique_ptr<Backend>> open_nft();

/// The rules of other tables that drop by what conntrack calls invalid or by reverse path: nft's
/// own words for it, those with sets and verdict maps, and iptables-nft's. What lies behind a jump
/// by a verdict map has an empty hook. Rules of iptables-legacy are no nftables and are not seen.
Result<std::vector<model::FilterRule>> read_foreign_rules();

}  // namespace lbctl::kernel
