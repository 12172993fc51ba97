// Fuzzes what is read from nf_tables: the input is one datagram from the kernel.
#include "netlink/nfnl_socket.hpp"
#include "nft/decode.hpp"

namespace netlink = lbctl::kernel::netlink;
namespace nft = lbctl::kernel::nft;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Aligned, of its own size, and one zero behind it, as the socket hands it over.
  std::vector<std::uint8_t> datagram(data, data + size);
  datagram.push_back(0);
  nft::Dump dump;
  (void)netlink::walk({datagram.data(), size}, [&](const nlmsghdr& message) {
    if (message.nlmsg_type == NLMSG_ERROR) {
      (void)netlink::parse_verdict(message);
      return;
    }
    nft::take_message(message, dump);
    (void)nft::generation(message);
  });
  (void)nft::decode(
      dump, [](std::uint32_t) { return std::optional<std::string>("eth0"); },
      [](const std::string& device) { return !device.empty(); });
  return 0;
}
