// News of what somebody changed in the kernel, for whoever wants to look again. The kernel tells
// nothing of IPVS and MPTCP endpoints.
#pragma once

#include <optional>
#include <string>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::kernel {

enum class News : std::uint8_t {
  rtnl,        ///< devices and addresses
  neighbours,  ///< whose Ethernet address is known
  nft,
};

/// A non-blocking socket that is readable when there is news of that kind in the network namespace
/// of the calling thread.
Result<Fd> open_news(News kind);

/// Takes all that is there. What it was about, for people: "an address changed"; nothing if nothing
/// was there. News that were lost count as news.
std::optional<std::string> read_news(int socket, News kind);

}  // namespace lbctl::kernel
