// Fuzzes what is read from the MPTCP path manager: the input is one datagram from the kernel.
#include "mptcp/codec.hpp"

#include <linux/netlink.h>

namespace genl = lbctl::kernel::genl;
namespace mptcp = lbctl::kernel::mptcp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> datagram(data, data + size);
  (void)genl::walk(datagram, [](const nlmsghdr& message) -> lbctl::Result<> {
    if (message.nlmsg_type == NLMSG_ERROR || message.nlmsg_type == NLMSG_DONE)
      (void)genl::decode_verdict(message);
    (void)mptcp::decode_endpoint(message);
    (void)mptcp::decode_limits(message);
    return {};
  });
  return 0;
}
