// Requests to nf_tables that read.
#pragma once

#include <libnftnl/common.h>

#include <array>
#include <cstdint>

#include "netlink/nfnl_socket.hpp"

namespace lbctl::kernel::nft {

// Each try reads the whole ruleset; ten in a row that a change interrupts means that something
// rewrites it without pause.
inline constexpr int dump_tries = 10;

/// One request of the given type for tables of a family; `flags` NLM_F_DUMP or NLM_F_ACK. `build`
/// adds attributes.
template <class Build>
Result<> get(netlink::NfnlSocket& socket, std::uint16_t family, std::uint16_t type,
             std::uint16_t flags, const netlink::NfnlSocket::OnMessage& on_message, Build build) {
  alignas(nlmsghdr) std::array<char, 512> buffer{};
  nlmsghdr* request = nftnl_nlmsg_build_hdr(buffer.data(), type, family, flags, socket.next_seq());
  build(request);
  return socket.request(*request, on_message);
}

/// What a failed read means to people.
Error failed_read(const Error& error);

}  // namespace lbctl::kernel::nft
