#include "links.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstring>

#include "lbctl/base/handle.hpp"

namespace lbctl::kernel::xdp {

namespace {

using MnlSocket = CHandle<mnl_socket, &mnl_socket_close>;

// libmnl's loops over attributes are macros that do not compile as C++, so each level of the
// message is a callback.

int on_xdp_attribute(const nlattr* attr, void* data) {
  Link& link = *static_cast<Link*>(data);
  switch (mnl_attr_get_type(attr)) {
    case IFLA_XDP_ATTACHED:
      if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0) break;
      link.mode = mnl_attr_get_u8(attr) == XDP_ATTACHED_SKB ? model::XdpMode::generic
                                                            : model::XdpMode::native;
      break;
    // With several (one offloaded beside one in the kernel), any of them means that it is taken.
    case IFLA_XDP_PROG_ID:
    case IFLA_XDP_DRV_PROG_ID:
    case IFLA_XDP_SKB_PROG_ID:
    case IFLA_XDP_HW_PROG_ID:
      if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) link.program = mnl_attr_get_u32(attr);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

int on_info_attribute(const nlattr* attr, void* data) {
  if (mnl_attr_get_type(attr) == IFLA_INFO_KIND &&
      mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
    static_cast<Link*>(data)->kind = mnl_attr_get_str(attr);
  return MNL_CB_OK;
}

int on_link_attribute(const nlattr* attr, void* data) {
  Link& link = *static_cast<Link*>(data);
  switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
      if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0) link.name = mnl_attr_get_str(attr);
      break;
    case IFLA_ADDRESS:
      if (mnl_attr_get_payload_len(attr) != model::MacAddress{}.octets.size()) break;
      link.mac.emplace();
      std::memcpy(link.mac->octets.data(), mnl_attr_get_payload(attr), link.mac->octets.size());
      break;
    case IFLA_MASTER:
      if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) link.master = mnl_attr_get_u32(attr);
      break;
    case IFLA_LINKINFO:
      return mnl_attr_parse_nested(attr, &on_info_attribute, &link);
    case IFLA_XDP:
      return mnl_attr_parse_nested(attr, &on_xdp_attribute, &link);
    default:
      break;
  }
  return MNL_CB_OK;
}

struct Dump {
  std::vector<Link> links;
  std::optional<Error> error;
};

int on_message(const nlmsghdr* message, void* data) {
  Dump& dump = *static_cast<Dump*>(data);
  auto link = decode_link(*message);
  if (!link) {
    dump.error = std::move(link.error());
    return MNL_CB_ERROR;
  }
  dump.links.push_back(std::move(*link));
  return MNL_CB_OK;
}

/// One dump; false if the table changed meanwhile and it has to be made again.
Result<bool> dump_once(mnl_socket& socket, std::uint32_t sequence, Dump& dump) {
  std::array<char, 32768> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETLINK;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = sequence;
  auto* header = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
  header->ifi_family = AF_UNSPEC;
  if (mnl_socket_sendto(&socket, request, request->nlmsg_len) < 0)
    return fail_errno("ask for the network devices");
  while (true) {
    const ssize_t length = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (length < 0) return fail_errno("read the network devices");
    const int state =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence,
                   mnl_socket_get_portid(&socket), &on_message, static_cast<void*>(&dump));
    if (dump.error) return fail(std::move(*dump.error));
    if (state == MNL_CB_STOP) return true;
    if (state < 0 && errno == EINTR) return false;
    if (state < 0) return fail_errno("read the network devices");
  }
}

}  // namespace

Result<Link> decode_link(const nlmsghdr& message) {
  if (message.nlmsg_type != RTM_NEWLINK ||
      message.nlmsg_len < mnl_nlmsg_size(MNL_ALIGN(sizeof(ifinfomsg))))
    return fail(Errc::invalid, "the kernel's list of devices holds something else");
  Link link;
  const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
  link.index = static_cast<std::uint32_t>(header->ifi_index);
  mnl_attr_parse(&message, sizeof(ifinfomsg), &on_link_attribute, &link);
  if (link.name.empty()) return fail(Errc::invalid, "the kernel lists a device without a name");
  return link;
}

Result<std::vector<Link>> read_links() {
  MnlSocket socket(mnl_socket_open(NETLINK_ROUTE));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return fail_errno("open a route netlink socket");
  for (std::uint32_t sequence = 1;; ++sequence) {
    Dump dump;
    auto complete = dump_once(*socket, sequence, dump);
    if (!complete) return fail(std::move(complete.error()));
    if (*complete) return std::move(dump.links);
    // The rest of the interrupted dump is still on its way to the old socket.
    socket.reset(mnl_socket_open(NETLINK_ROUTE));
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
      return fail_errno("open a route netlink socket");
  }
}

}  // namespace lbctl::kernel::xdp
