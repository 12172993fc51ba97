// Fuzzes what is read from rtnetlink, the input being one datagram from the kernel, and from hosts
// that are asked who they are.
#include <linux/netlink.h>

#include "netlink/genl.hpp"
#include "rtnl/codec.hpp"
#include "rtnl/echo.hpp"
#include "rtnl/probe.hpp"

namespace genl = lbctl::kernel::genl;
namespace rtnl = lbctl::kernel::rtnl;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> datagram(data, data + size);
  (void)rtnl::read_arp_reply(datagram);
  (void)rtnl::read_advertisement(datagram);
  for (const bool v4 : {true, false})
    (void)rtnl::read_echo_reply(v4, datagram);
  (void)genl::walk(datagram, [](const nlmsghdr& message) -> lbctl::Result<> {
    (void)rtnl::decode_address(message);
    (void)rtnl::decode_link(message);
    (void)rtnl::decode_neighbour(message);
    return {};
  });
  return 0;
}
