// Fuzzes what is read from rtnetlink: the input is one datagram from the kernel.
#include <linux/netlink.h>

#include "netlink/genl.hpp"
#include "rtnl/codec.hpp"

namespace genl = lbctl::kernel::genl;
namespace rtnl = lbctl::kernel::rtnl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> datagram(data, data + size);
  (void)genl::walk(datagram, [](const nlmsghdr& message) -> lbctl::Result<> {
    (void)rtnl::decode_address(message);
    (void)rtnl::decode_link(message);
    (void)rtnl::decode_neighbour(message);
    return {};
  });
  return 0;
}
