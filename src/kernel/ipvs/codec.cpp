#include "codec.hpp"

#include <arpa/inet.h>
#include <linux/ip_vs.h>

#include <algorithm>
#include <array>
#include <bit>

namespace lbctl::kernel::ipvs {

namespace {

using genl::Attributes;
using genl::Request;

// The flags that lbctl sets. IP_VS_SVC_F_HASHED belongs to the kernel, so it stays out of the mask.
constexpr std::uint32_t managed_flags = IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_ONEPACKET |
                                        IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2 |
                                        IP_VS_SVC_F_SCHED3;

std::uint16_t kernel_family(const model::IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

// The kernel's union nf_inet_addr: 16 octets, an IPv4 address in the first four.
void put_address(Request& to, int type, const model::IpAddress& address) {
  std::array<std::uint8_t, 16> octets{};
  std::ranges::copy(address.octets(), octets.begin());
  to.bytes(type, octets.data(), octets.size());
}

Result<model::IpAddress> read_address(const Attributes& from, int type, std::uint16_t family) {
  const std::size_t size = family == AF_INET ? 4 : 16;
  const auto octets = from.bytes(type);
  std::optional<model::IpAddress> address;
  if ((family == AF_INET || family == AF_INET6) && octets.size() >= size)
    address = model::IpAddress::from_octets(octets.first(size));
  if (!address) return fail(Errc::invalid, "IPVS listed an address of an unknown family or size");
  return *address;
}

// IPVS_SVC_ATTR_NETMASK: for IPv4 the mask in network order, for IPv6 the prefix length itself.
std::uint32_t encode_prefix(model::Family family, std::uint8_t prefix) {
  if (family == model::Family::v6) return prefix;
  return prefix == 0 ? 0 : htonl(~std::uint32_t{0} << (32 - prefix));
}

// A mask with holes, which only other tools set, counts as its leading ones.
std::uint8_t decode_prefix(model::Family family, std::uint32_t raw) {
  if (family == model::Family::v6)
    return static_cast<std::uint8_t>(std::min(raw, std::uint32_t{128}));
  return static_cast<std::uint8_t>(std::countl_one(ntohl(raw)));
}

std::uint32_t encode_flags(const model::ServiceFlags& flags) {
  return (flags.persistent ? IP_VS_SVC_F_PERSISTENT : 0u) |
         (flags.one_packet ? IP_VS_SVC_F_ONEPACKET : 0u) |
         (flags.sched1 ? IP_VS_SVC_F_SCHED1 : 0u) | (flags.sched2 ? IP_VS_SVC_F_SCHED2 : 0u) |
         (flags.sched3 ? IP_VS_SVC_F_SCHED3 : 0u);
}

model::ServiceFlags decode_flags(std::uint32_t bits) {
  return {.persistent = (bits & IP_VS_SVC_F_PERSISTENT) != 0,
          .one_packet = (bits & IP_VS_SVC_F_ONEPACKET) != 0,
          .sched1 = (bits & IP_VS_SVC_F_SCHED1) != 0,
          .sched2 = (bits & IP_VS_SVC_F_SCHED2) != 0,
          .sched3 = (bits & IP_VS_SVC_F_SCHED3) != 0};
}

void put_service_key(Request& to, const model::ServiceKey& key) {
  to.u16(IPVS_SVC_ATTR_AF, kernel_family(key.address));
  if (key.fwmark != 0) {
    to.u32(IPVS_SVC_ATTR_FWMARK, key.fwmark);
    return;
  }
  to.u16(IPVS_SVC_ATTR_PROTOCOL, key.protocol == model::L4::tcp ? IPPROTO_TCP : IPPROTO_UDP);
  put_address(to, IPVS_SVC_ATTR_ADDR, key.address);
  to.be16(IPVS_SVC_ATTR_PORT, number(key.port));
}

Result<genl::Message> service_request(std::uint8_t command, const model::ServiceKey& key,
                                      const model::VirtualService* settings) {
  Request out(command, IPVS_GENL_VERSION);
  out.begin(IPVS_CMD_ATTR_SERVICE);
  put_service_key(out, key);
  if (settings != nullptr) {
    // The kernel's policy (NLA_NUL_STRING) would answer with a bare ERANGE or EINVAL.
    if (settings->scheduler.empty() || settings->scheduler.size() >= IP_VS_SCHEDNAME_MAXLEN)
      return fail(Errc::invalid,
                  "scheduler name \"" + settings->scheduler + "\": must have 1 to 15 characters");
    if (settings->persistence_prefix > key.address.full_prefix())
      return fail(Errc::invalid, "persistence prefix length above that of an address");
    // All four are required for adding and editing.
    const ip_vs_flags flags{.flags = encode_flags(settings->flags), .mask = managed_flags};
    out.string(IPVS_SVC_ATTR_SCHED_NAME, settings->scheduler)
        .bytes(IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags)
        .u32(IPVS_SVC_ATTR_TIMEOUT, settings->persistence_timeout)
        .u32(IPVS_SVC_ATTR_NETMASK,
             encode_prefix(key.address.family(), settings->persistence_prefix));
  }
  out.end();
  return out.finish();
}

Result<genl::Message> destination_request(std::uint8_t command, const model::ServiceKey& service,
                                          const model::DestinationKey& key,
                                          const model::Destination* settings) {
  Request out(command, IPVS_GENL_VERSION);
  out.begin(IPVS_CMD_ATTR_SERVICE);
  put_service_key(out, service);
  out.end();
  out.begin(IPVS_CMD_ATTR_DEST);
  put_address(out, IPVS_DEST_ATTR_ADDR, key.address);
  out.be16(IPVS_DEST_ATTR_PORT, number(key.port));
  out.u16(IPVS_DEST_ATTR_ADDR_FAMILY, kernel_family(key.address));
  if (settings != nullptr) {
    out.u32(IPVS_DEST_ATTR_FWD_METHOD, static_cast<std::uint32_t>(settings->forward))
        .u32(IPVS_DEST_ATTR_WEIGHT, number(settings->weight))
        .u32(IPVS_DEST_ATTR_U_THRESH, settings->upper_threshold)
        .u32(IPVS_DEST_ATTR_L_THRESH, settings->lower_threshold);
    // Left out, the kernel takes plain ipip, in an edit, too.
    if (settings->tunnel != model::Tunnel{})
      out.u8(IPVS_DEST_ATTR_TUN_TYPE, static_cast<std::uint8_t>(settings->tunnel.type))
          .be16(IPVS_DEST_ATTR_TUN_PORT, number(settings->tunnel.port))
          .u16(IPVS_DEST_ATTR_TUN_FLAGS, static_cast<std::uint16_t>(settings->tunnel.checksum));
  }
  out.end();
  return out.finish();
}

struct Encode {
  using Out = Result<genl::Message>;
  Out operator()(const model::AddService& a) const {
    return service_request(IPVS_CMD_NEW_SERVICE, a.key, &a.service);
  }
  Out operator()(const model::EditService& a) const {
    return service_request(IPVS_CMD_SET_SERVICE, a.key, &a.to);
  }
  Out operator()(const model::RemoveService& a) const {
    return service_request(IPVS_CMD_DEL_SERVICE, a.key, nullptr);
  }
  Out operator()(const model::AddDestination& a) const {
    return destination_request(IPVS_CMD_NEW_DEST, a.service, a.key, &a.destination);
  }
  Out operator()(const model::EditDestination& a) const {
    return destination_request(IPVS_CMD_SET_DEST, a.service, a.key, &a.to);
  }
  Out operator()(const model::RemoveDestination& a) const {
    return destination_request(IPVS_CMD_DEL_DEST, a.service, a.key, nullptr);
  }
  Out operator()(const model::SetIpvsTimeouts& a) const { return encode_node(a); }
  Out operator()(const model::StartSync& a) const { return encode_node(a); }
  Out operator()(const model::StopSync& a) const { return encode_node(a); }
  Out operator()(const auto&) const {
    return fail(Errc::invalid, "this is not an operation on IPVS");
  }
};

Result<model::ServiceKey> decode_key(const Attributes& service, bool& known) {
  const auto family = service.u16(IPVS_SVC_ATTR_AF);
  if (!family || (*family != AF_INET && *family != AF_INET6))
    return fail(Errc::invalid, "IPVS listed a service of an unknown address family");
  model::ServiceKey key;
  known = true;
  if (const auto mark = service.u32(IPVS_SVC_ATTR_FWMARK); mark && *mark != 0) {
    key.fwmark = *mark;
    if (*family == AF_INET6)
      key.address = model::IpAddress::parse("::").value_or(model::IpAddress());
    return key;
  }
  const auto protocol = service.u16(IPVS_SVC_ATTR_PROTOCOL);
  const auto port = service.be16(IPVS_SVC_ATTR_PORT);
  auto address = read_address(service, IPVS_SVC_ATTR_ADDR, *family);
  if (!address) return fail(std::move(address.error()));
  if (!protocol || !port)
    return fail(Errc::invalid, "IPVS listed a service without protocol or port");
  known = *protocol == IPPROTO_TCP || *protocol == IPPROTO_UDP;
  key.address = *address;
  key.protocol = *protocol == IPPROTO_UDP ? model::L4::udp : model::L4::tcp;
  key.port = model::Port{*port};
  return key;
}

// STATS64 exists since Linux 4.1; the older STATS counts packets in 32 bits.
Result<> decode_stats(const Attributes& destination, model::DestinationCounters& out) {
  if (!destination.has(IPVS_DEST_ATTR_STATS64)) return {};
  auto stats = destination.nested(IPVS_DEST_ATTR_STATS64);
  if (!stats) return fail(std::move(stats.error()));
  out.connections = stats->u64(IPVS_STATS_ATTR_CONNS).value_or(0);
  out.packets_in = stats->u64(IPVS_STATS_ATTR_INPKTS).value_or(0);
  out.bytes_in = stats->u64(IPVS_STATS_ATTR_INBYTES).value_or(0);
  return {};
}

// The kernel keeps these for every destination, and lists them even where they mean nothing.
Result<model::Tunnel> decode_tunnel(const Attributes& destination) {
  model::Tunnel out;
  const auto type = destination.u8(IPVS_DEST_ATTR_TUN_TYPE).value_or(0);
  if (type >= IP_VS_CONN_F_TUNNEL_TYPE_MAX)
    return fail(Errc::invalid, "IPVS listed a destination with an unknown kind of tunnel");
  const auto flags = destination.u16(IPVS_DEST_ATTR_TUN_FLAGS).value_or(0);
  out.type = static_cast<model::TunnelType>(type);
  if (out.type == model::TunnelType::gue)
    out.port = model::Port{destination.be16(IPVS_DEST_ATTR_TUN_PORT).value_or(0)};
  // The two bits are independent in the kernel; both at once are only set by other tools.
  if ((flags & IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM) != 0) {
    out.checksum = model::TunnelChecksum::remote;
  } else if ((flags & IP_VS_TUNNEL_ENCAP_FLAG_CSUM) != 0) {
    out.checksum = model::TunnelChecksum::full;
  }
  return out;
}

}  // namespace

Result<Attributes> decode_entry(const nlmsghdr& message, std::uint8_t command, int type) {
  if (genl::command_of(message) != command)
    return fail(Errc::invalid, "IPVS answered with another message than was asked for");
  auto attributes = Attributes::of_message(message);
  if (!attributes) return attributes;
  return attributes->nested(type);
}

Result<genl::Message> encode(const model::Action& action) {
  return std::visit(Encode{}, action);
}

Result<genl::Message> encode_list_services() {
  return Request(IPVS_CMD_GET_SERVICE, IPVS_GENL_VERSION).finish();
}

Result<genl::Message> encode_list_destinations(const model::ServiceKey& service) {
  return service_request(IPVS_CMD_GET_DEST, service, nullptr);
}

Result<std::optional<ServiceEntry>> decode_service(const nlmsghdr& message) {
  auto service = decode_entry(message, IPVS_CMD_NEW_SERVICE, IPVS_CMD_ATTR_SERVICE);
  if (!service) return fail(std::move(service.error()));
  bool known = false;
  auto key = decode_key(*service, known);
  if (!key) return fail(std::move(key.error()));
  if (!known) return std::nullopt;
  const auto scheduler = service->string(IPVS_SVC_ATTR_SCHED_NAME);
  const auto flags = service->u32(IPVS_SVC_ATTR_FLAGS);  // the mask after it is always all ones
  const auto timeout = service->u32(IPVS_SVC_ATTR_TIMEOUT);
  const auto netmask = service->u32(IPVS_SVC_ATTR_NETMASK);
  if (scheduler.empty() || !flags || !timeout || !netmask)
    return fail(Errc::invalid, "IPVS listed " + key->text() + " without all its settings");
  ServiceEntry out{.key = *key, .service = {}};
  out.service.scheduler = scheduler;
  out.service.flags = decode_flags(*flags);
  out.service.persistence_timeout = *timeout;
  out.service.persistence_prefix = decode_prefix(key->address.family(), *netmask);
  return out;
}

Result<DestinationEntry> decode_destination(const nlmsghdr& message, model::Family service) {
  auto entry = decode_entry(message, IPVS_CMD_NEW_DEST, IPVS_CMD_ATTR_DEST);
  if (!entry) return fail(std::move(entry.error()));
  const std::uint16_t like_service = service == model::Family::v4 ? AF_INET : AF_INET6;
  auto address = read_address(*entry, IPVS_DEST_ATTR_ADDR,
                              entry->u16(IPVS_DEST_ATTR_ADDR_FAMILY).value_or(like_service));
  if (!address) return fail(std::move(address.error()));
  const auto port = entry->be16(IPVS_DEST_ATTR_PORT);
  const auto forward = entry->u32(IPVS_DEST_ATTR_FWD_METHOD);
  const auto weight = entry->u32(IPVS_DEST_ATTR_WEIGHT);
  const auto upper = entry->u32(IPVS_DEST_ATTR_U_THRESH);
  const auto lower = entry->u32(IPVS_DEST_ATTR_L_THRESH);
  if (!port || !forward || !weight || !upper || !lower)
    return fail(Errc::invalid, "IPVS listed a destination without all its settings");
  if (*forward > IP_VS_CONN_F_DROUTE)
    return fail(Errc::invalid, "IPVS listed a destination with an unknown way of forwarding");
  DestinationEntry out;
  out.key = {.address = *address, .port = model::Port{*port}};
  out.destination.weight =
      model::Weight{static_cast<std::uint16_t>(std::min(*weight, std::uint32_t{65535}))};
  out.destination.forward = static_cast<model::Forward>(*forward);
  out.destination.upper_threshold = *upper;
  out.destination.lower_threshold = *lower;
  if (out.destination.forward == model::Forward::tunnel) {
    auto tunnel = decode_tunnel(*entry);
    if (!tunnel) return fail(std::move(tunnel.error()));
    out.destination.tunnel = *tunnel;
  }
  out.counters.active_connections = entry->u32(IPVS_DEST_ATTR_ACTIVE_CONNS).value_or(0);
  out.counters.inactive_connections = entry->u32(IPVS_DEST_ATTR_INACT_CONNS).value_or(0);
  if (auto ok = decode_stats(*entry, out.counters); !ok) return fail(std::move(ok.error()));
  return out;
}

}  // namespace lbctl::kernel::ipvs
