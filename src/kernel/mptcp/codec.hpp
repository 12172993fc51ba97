// Path manager messages: model values to netlink attributes and back. Pure.
// Attributes: include/uapi/linux/mptcp.h (mptcp_pm.h from Linux 6.8 on).
#pragma once

#include <span>

#include "lbctl/model/operation.hpp"
#include "netlink/genl.hpp"

namespace lbctl::kernel::mptcp {

/// `device`: interface index, 0 for none.
Result<genl::Message> encode_add(const model::EndpointKey& key, const model::Endpoint& endpoint,
                                 std::uint32_t device);
Result<genl::Message> encode_remove(const model::EndpointKey& key, std::uint8_t id);
/// By id alone: the kernel takes the address as a peer's.
Result<genl::Message> encode_change(std::uint8_t id, const model::Endpoint& to);
Result<genl::Message> encode_set_limits(const model::MptcpLimits& limits);
Result<genl::Message> encode_list();
Result<genl::Message> encode_get_limits();

struct EndpointEntry {
  model::EndpointKey key;
  model::Endpoint endpoint;  ///< without device
  std::uint32_t device = 0;  ///< interface index, 0 for none
  bool implicit = false;     ///< MPTCP_PM_ADDR_FLAG_IMPLICIT: made by the kernel itself
};
Result<EndpointEntry> decode_endpoint(const nlmsghdr& message);
Result<model::MptcpLimits> decode_limits(const nlmsghdr& message);

/// "add endpoint 192.0.2.111 signal"
std::string describe(const model::Action& action);
/// Linux 6.1 answers EINVAL where later ones tell EEXIST (an endpoint with the address is there)
/// from ERANGE (the namespace holds as many as it can); `present` is what was there when it
/// refused.
genl::Verdict refine(const model::EndpointKey& refused, genl::Verdict verdict,
                     std::span<const EndpointEntry> present);
/// The refusal of one operation, with what mends it where that is known.
Error explain(const model::Action& action, const genl::Verdict& verdict);
/// The refusal of the path manager as a whole.
Error explain_family(Error error);

}  // namespace lbctl::kernel::mptcp
