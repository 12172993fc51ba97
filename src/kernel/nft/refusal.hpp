// What a refused message of a transaction means for the operator. Pure.
#pragma once

#include "batch.hpp"
#include "lbctl/base/result.hpp"
#include "netlink/nfnl_socket.hpp"

namespace lbctl::kernel::nft {

Error refusal(const netlink::Verdict& verdict, const Batch::Note& note,
              const model::Action& action);

}  // namespace lbctl::kernel::nft
