// IPVS messages: model values to netlink attributes and back. Pure.
// Attributes: include/uapi/linux/ip_vs.h; what is required: ip_vs_genl_parse_service() and
// ip_vs_genl_parse_dest() in net/netfilter/ipvs/ip_vs_ctl.c (Linux 6.1 to 6.12).
#pragma once

#include <optional>

#include "lbctl/model/operation.hpp"
#include "netlink/genl.hpp"

namespace lbctl::kernel::ipvs {

/// The change that an IPVS action asks for; Errc::invalid for actions of other subsystems and
/// values that do not fit.
Result<genl::Message> encode(const model::Action& action);
/// Its part for what IPVS holds once (codec_node.cpp).
Result<genl::Message> encode_node(const model::SetIpvsTimeouts& action);
Result<genl::Message> encode_node(const model::StartSync& action);
Result<genl::Message> encode_node(const model::StopSync& action);
/// An answer's nest of that type; Errc::invalid if it is another command's.
Result<genl::Attributes> decode_entry(const nlmsghdr& message, std::uint8_t command, int type);

Result<genl::Message> encode_get_timeouts();
Result<model::IpvsTimeouts> decode_timeouts(const nlmsghdr& message);
Result<genl::Message> encode_list_daemons();
struct DaemonEntry {
  model::SyncRole role{};
  model::SyncDaemon daemon;
};
Result<DaemonEntry> decode_daemon(const nlmsghdr& message);

Result<genl::Message> encode_list_services();
Result<genl::Message> encode_list_destinations(const model::ServiceKey& service);

struct ServiceEntry {
  model::ServiceKey key;
  model::VirtualService service;  ///< without destinations
};
/// Nothing for a service that the model does not know (SCTP).
Result<std::optional<ServiceEntry>> decode_service(const nlmsghdr& message);

struct DestinationEntry {
  model::DestinationKey key;
  model::Destination destination;
  model::DestinationCounters counters;
};
/// `service` is the family of the service, which old kernels leave out of its destinations.
Result<DestinationEntry> decode_destination(const nlmsghdr& message, model::Family service);

}  // namespace lbctl::kernel::ipvs
