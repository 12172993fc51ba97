// Fuzzes what is read from IPVS: the input is taken for one datagram from the kernel.
#include "ipvs/codec.hpp"

#include <linux/netlink.h>

namespace genl = lbctl::kernel::genl;
namespace ipvs = lbctl::kernel::ipvs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of its own size: aligned as the kernel's are, and overruns show.
  const std::vector<std::uint8_t> datagram(data, data + size);
  (void)genl::walk(datagram, [](const nlmsghdr& message) -> lbctl::Result<> {
    if (message.nlmsg_type == NLMSG_ERROR || message.nlmsg_type == NLMSG_DONE)
      (void)genl::decode_verdict(message);
    (void)ipvs::decode_service(message);
    (void)ipvs::decode_destination(message, lbctl::model::Family::v4);
    (void)ipvs::decode_destination(message, lbctl::model::Family::v6);
    return {};
  });
  return 0;
}
