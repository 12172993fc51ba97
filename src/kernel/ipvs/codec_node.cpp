// Timeouts and sync daemons: ip_vs_genl_set_config() and ip_vs_genl_new_daemon() in
// net/netfilter/ipvs/ip_vs_ctl.c, start_sync_thread() in ip_vs_sync.c.
#include <linux/ip_vs.h>

#include "codec.hpp"

namespace lbctl::kernel::ipvs {

using genl::Attributes;
using genl::Request;

Result<genl::Message> encode_node(const model::SetIpvsTimeouts& action) {
  Request out(IPVS_CMD_SET_CONFIG, IPVS_GENL_VERSION);
  const auto put = [&](int type, std::uint32_t seconds) {
    if (seconds != 0) out.u32(type, seconds);
  };
  put(IPVS_CMD_ATTR_TIMEOUT_TCP, action.to.tcp);
  put(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, action.to.tcp_fin);
  put(IPVS_CMD_ATTR_TIMEOUT_UDP, action.to.udp);
  return out.finish();
}

Result<genl::Message> encode_node(const model::StartSync& action) {
  const model::SyncDaemon& daemon = action.daemon;
  if (daemon.device.empty() || daemon.device.size() >= IP_VS_IFNAME_MAXLEN)
    return fail(Errc::invalid, "device name \"" + daemon.device + "\": must have 1 to 15 octets");
  Request out(IPVS_CMD_NEW_DAEMON, IPVS_GENL_VERSION);
  out.begin(IPVS_CMD_ATTR_DAEMON)
      .u32(IPVS_DAEMON_ATTR_STATE, static_cast<std::uint32_t>(action.role))
      .string(IPVS_DAEMON_ATTR_MCAST_IFN, daemon.device)
      .u32(IPVS_DAEMON_ATTR_SYNC_ID, daemon.id)
      .u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN, daemon.max_length);
  const auto group = daemon.group.octets();
  out.bytes(daemon.group.is_v4() ? IPVS_DAEMON_ATTR_MCAST_GROUP : IPVS_DAEMON_ATTR_MCAST_GROUP6,
            group.data(), group.size());
  // In host order, unlike the ports of services.
  out.u16(IPVS_DAEMON_ATTR_MCAST_PORT, number(daemon.port))
      .u8(IPVS_DAEMON_ATTR_MCAST_TTL, daemon.ttl);
  out.end();
  return out.finish();
}

Result<genl::Message> encode_node(const model::StopSync& action) {
  Request out(IPVS_CMD_DEL_DAEMON, IPVS_GENL_VERSION);
  out.begin(IPVS_CMD_ATTR_DAEMON)
      .u32(IPVS_DAEMON_ATTR_STATE, static_cast<std::uint32_t>(action.role))
      .end();
  return out.finish();
}

Result<genl::Message> encode_get_timeouts() {
  return Request(IPVS_CMD_GET_CONFIG, IPVS_GENL_VERSION).finish();
}

Result<model::IpvsTimeouts> decode_timeouts(const nlmsghdr& message) {
  if (genl::command_of(message) != IPVS_CMD_SET_CONFIG)
    return fail(Errc::invalid, "IPVS answered with another message than was asked for");
  const auto attributes = Attributes::of_message(message);
  if (!attributes) return fail(attributes.error());
  // A kernel without one of the protocols leaves its timeouts out.
  return model::IpvsTimeouts{.tcp = attributes->u32(IPVS_CMD_ATTR_TIMEOUT_TCP).value_or(0),
                             .tcp_fin = attributes->u32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN).value_or(0),
                             .udp = attributes->u32(IPVS_CMD_ATTR_TIMEOUT_UDP).value_or(0)};
}

Result<genl::Message> encode_list_daemons() {
  return Request(IPVS_CMD_GET_DAEMON, IPVS_GENL_VERSION).finish();
}

Result<DaemonEntry> decode_daemon(const nlmsghdr& message) {
  const auto entry = decode_entry(message, IPVS_CMD_NEW_DAEMON, IPVS_CMD_ATTR_DAEMON);
  if (!entry) return fail(entry.error());
  const auto state = entry->u32(IPVS_DAEMON_ATTR_STATE);
  const auto id = entry->u32(IPVS_DAEMON_ATTR_SYNC_ID);
  const auto v4 = entry->bytes(IPVS_DAEMON_ATTR_MCAST_GROUP);
  const auto v6 = entry->bytes(IPVS_DAEMON_ATTR_MCAST_GROUP6);
  const auto group = model::IpAddress::from_octets(v6.size() == 16 ? v6 : v4);
  const bool known = state == IP_VS_STATE_MASTER || state == IP_VS_STATE_BACKUP;
  if (!known || !id || *id > 255 || !group)
    return fail(Errc::invalid, "IPVS listed a sync daemon without all its settings");
  return DaemonEntry{
      .role = static_cast<model::SyncRole>(*state),
      .daemon = {.device = std::string(entry->string(IPVS_DAEMON_ATTR_MCAST_IFN)),
                 .id = static_cast<std::uint8_t>(*id),
                 .max_length = entry->u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN).value_or(0),
                 .group = *group,
                 .port = model::Port{entry->u16(IPVS_DAEMON_ATTR_MCAST_PORT).value_or(0)},
                 .ttl = entry->u8(IPVS_DAEMON_ATTR_MCAST_TTL).value_or(0)}};
}

}  // namespace lbctl::kernel::ipvs
