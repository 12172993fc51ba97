#include "codec.hpp"

#include <linux/mptcp.h>

namespace lbctl::kernel::mptcp {

namespace {

using genl::Attributes;
using genl::Request;

std::uint32_t encode_flags(const model::Endpoint& endpoint) {
  return (endpoint.signal ? MPTCP_PM_ADDR_FLAG_SIGNAL : 0u) |
         (endpoint.subflow ? MPTCP_PM_ADDR_FLAG_SUBFLOW : 0u) |
         (endpoint.backup ? MPTCP_PM_ADDR_FLAG_BACKUP : 0u) |
         (endpoint.fullmesh ? MPTCP_PM_ADDR_FLAG_FULLMESH : 0u);
}

void put_key(Request& to, const model::EndpointKey& key) {
  const auto octets = key.address.octets();
  to.u16(MPTCP_PM_ADDR_ATTR_FAMILY, key.address.is_v4() ? AF_INET : AF_INET6);
  to.bytes(key.address.is_v4() ? MPTCP_PM_ADDR_ATTR_ADDR4 : MPTCP_PM_ADDR_ATTR_ADDR6, octets.data(),
           octets.size());
  // In host order, unlike ports elsewhere in netlink.
  if (number(key.port) != 0) to.u16(MPTCP_PM_ADDR_ATTR_PORT, number(key.port));
}

}  // namespace

Result<genl::Message> encode_add(const model::EndpointKey& key, const model::Endpoint& endpoint,
                                 std::uint32_t device) {
  Request out(MPTCP_PM_CMD_ADD_ADDR, MPTCP_PM_VER);
  out.begin(MPTCP_PM_ATTR_ADDR);
  put_key(out, key);
  out.u32(MPTCP_PM_ADDR_ATTR_FLAGS, encode_flags(endpoint));
  if (device != 0) out.u32(MPTCP_PM_ADDR_ATTR_IF_IDX, device);
  out.end();
  return out.finish();
}

Result<genl::Message> encode_remove(const model::EndpointKey& key, std::uint8_t id) {
  Request out(MPTCP_PM_CMD_DEL_ADDR, MPTCP_PM_VER);
  out.begin(MPTCP_PM_ATTR_ADDR);
  put_key(out, key);
  out.u8(MPTCP_PM_ADDR_ATTR_ID, id);
  out.end();
  return out.finish();
}

Result<genl::Message> encode_change(std::uint8_t id, const model::Endpoint& to) {
  // Of the flags the kernel reads backup and fullmesh (6.12), and refuses fullmesh beside signal.
  model::Endpoint flags;
  flags.backup = to.backup;
  flags.fullmesh = to.fullmesh;
  Request out(MPTCP_PM_CMD_SET_FLAGS, MPTCP_PM_VER);
  out.begin(MPTCP_PM_ATTR_ADDR);
  out.u8(MPTCP_PM_ADDR_ATTR_ID, id);
  out.u32(MPTCP_PM_ADDR_ATTR_FLAGS, encode_flags(flags));
  out.end();
  return out.finish();
}

Result<genl::Message> encode_set_limits(const model::MptcpLimits& limits) {
  return Request(MPTCP_PM_CMD_SET_LIMITS, MPTCP_PM_VER)
      .u32(MPTCP_PM_ATTR_RCV_ADD_ADDRS, limits.add_addr_accepted)
      .u32(MPTCP_PM_ATTR_SUBFLOWS, limits.subflows)
      .finish();
}

Result<genl::Message> encode_list() {
  return Request(MPTCP_PM_CMD_GET_ADDR, MPTCP_PM_VER).finish();
}

Result<genl::Message> encode_get_limits() {
  return Request(MPTCP_PM_CMD_GET_LIMITS, MPTCP_PM_VER).finish();
}

Result<EndpointEntry> decode_endpoint(const nlmsghdr& message) {
  auto attributes = Attributes::of_message(message);
  if (!attributes) return fail(std::move(attributes.error()));
  auto address = attributes->nested(MPTCP_PM_ATTR_ADDR);
  if (!address) return fail(std::move(address.error()));
  const auto family = address->u16(MPTCP_PM_ADDR_ATTR_FAMILY);
  const auto id = address->u8(MPTCP_PM_ADDR_ATTR_ID);
  if (!id || !family || (*family != AF_INET && *family != AF_INET6))
    return fail(Errc::invalid, "the kernel listed an MPTCP endpoint without id or known family");
  const std::size_t size = *family == AF_INET ? 4 : 16;
  const auto octets =
      address->bytes(*family == AF_INET ? MPTCP_PM_ADDR_ATTR_ADDR4 : MPTCP_PM_ADDR_ATTR_ADDR6);
  const auto ip = model::IpAddress::from_octets(octets);
  if (octets.size() != size || !ip)
    return fail(Errc::invalid, "the kernel listed an MPTCP endpoint without its address");
  EndpointEntry out;
  out.key.address = *ip;
  // The kernel leaves out what is zero.
  out.key.port = model::Port{address->u16(MPTCP_PM_ADDR_ATTR_PORT).value_or(0)};
  out.device = address->u32(MPTCP_PM_ADDR_ATTR_IF_IDX).value_or(0);
  const auto flags = address->u32(MPTCP_PM_ADDR_ATTR_FLAGS).value_or(0);
  out.endpoint.signal = (flags & MPTCP_PM_ADDR_FLAG_SIGNAL) != 0;
  out.endpoint.subflow = (flags & MPTCP_PM_ADDR_FLAG_SUBFLOW) != 0;
  out.endpoint.backup = (flags & MPTCP_PM_ADDR_FLAG_BACKUP) != 0;
  out.endpoint.fullmesh = (flags & MPTCP_PM_ADDR_FLAG_FULLMESH) != 0;
  out.endpoint.id = *id;
  out.implicit = (flags & MPTCP_PM_ADDR_FLAG_IMPLICIT) != 0;
  return out;
}

Result<model::MptcpLimits> decode_limits(const nlmsghdr& message) {
  auto attributes = Attributes::of_message(message);
  if (!attributes) return fail(std::move(attributes.error()));
  const auto subflows = attributes->u32(MPTCP_PM_ATTR_SUBFLOWS);
  const auto accepted = attributes->u32(MPTCP_PM_ATTR_RCV_ADD_ADDRS);
  if (!subflows || !accepted)
    return fail(Errc::invalid, "the kernel gave the MPTCP limits in part only");
  return model::MptcpLimits{.subflows = *subflows, .add_addr_accepted = *accepted};
}

}  // namespace lbctl::kernel::mptcp
