// The director's nftables table `netdev lbctl` (rules/director-forward.nft), through nfnetlink.
#pragma once

#include <memory>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/backend.hpp"

namespace lbctl::kernel {

/// Opens its socket at the first observe or execute, in the network namespace of that moment.
/// A run is one transaction: on an error nothing of it took effect (done == 0).
/// Errors: unsupported (no nf_tables, netdev chains or fwd in this kernel), permission
/// (CAP_NET_ADMIN), not_found (a device), conflict (the table or an element is not as observed).
Result<std::unique_ptr<Backend>> open_nft();

}  // namespace lbctl::kernel
