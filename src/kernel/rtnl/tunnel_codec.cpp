#include "tunnel_codec.hpp"

#include <arpa/inet.h>
#include <linux/fou.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace lbctl::kernel::rtnl {
namespace {

using genl::Attributes;
using model::IpAddress;
using model::TunnelDevice;
using model::TunnelKind;

bool is_gre(TunnelKind kind) {
  return kind == TunnelKind::gre || kind == TunnelKind::ip6gre;
}

int local_type(TunnelKind kind) {
  return is_gre(kind) ? int{IFLA_GRE_LOCAL} : int{IFLA_IPTUN_LOCAL};
}

int remote_type(TunnelKind kind) {
  return is_gre(kind) ? int{IFLA_GRE_REMOTE} : int{IFLA_IPTUN_REMOTE};
}

bool is_v4(TunnelKind kind) {
  return kind == TunnelKind::ipip || kind == TunnelKind::gre;
}

/// The unspecified address reads as nothing.
std::optional<IpAddress> some_address(const Attributes& data, int type) {
  const auto octets = data.bytes(type);
  if (std::ranges::all_of(octets, [](std::uint8_t octet) { return octet == 0; }))
    return std::nullopt;
  return IpAddress::from_octets(octets);
}

/// The device's rp_filter, out of IFLA_AF_SPEC: its own settings of IPv4, in their order.
std::uint32_t rp_filter_of(const Attributes& link) {
  if (!link.has(IFLA_AF_SPEC)) return 0;
  const auto families = link.nested(IFLA_AF_SPEC);
  if (!families || !families->has(AF_INET)) return 0;
  const auto v4 = families->nested(AF_INET);
  if (!v4) return 0;
  const auto settings = v4->bytes(IFLA_INET_CONF);
  constexpr std::size_t at = (IPV4_DEVCONF_RP_FILTER - 1) * sizeof(std::uint32_t);
  std::uint32_t out = 0;
  if (settings.size() >= at + sizeof out) std::memcpy(&out, settings.data() + at, sizeof out);
  return out;
}

/// Nests and attributes of one message; what does not fit is remembered until finish().
class LinkWriter {
 public:
  LinkWriter(int type, const ifinfomsg& header) : message_(nlmsg_alloc_simple(type, 0)) {
    ifinfomsg copy = header;
    fits_ = message_ && nlmsg_append(message_.get(), &copy, sizeof copy, NLMSG_ALIGNTO) == 0;
  }
  LinkWriter& put(int type, const void* data, std::size_t size) {
    fits_ = fits_ && nla_put(message_.get(), type, static_cast<int>(size), data) == 0;
    return *this;
  }
  template <class Value>
  LinkWriter& value(int type, Value value) {
    return put(type, &value, sizeof value);
  }
  LinkWriter& text(int type, std::string_view text) {
    return put(type, std::string(text).c_str(), text.size() + 1);
  }
  LinkWriter& begin(int type) {
    nlattr* nest = fits_ ? nla_nest_start(message_.get(), type) : nullptr;
    fits_ = nest != nullptr;
    nests_.push_back(nest);
    return *this;
  }
  LinkWriter& end() {
    if (fits_) nla_nest_end(message_.get(), nests_.back());
    nests_.pop_back();
    return *this;
  }
  Result<Message> finish() {
    if (!fits_) return fail_errno("build a netlink message", ENOMEM);
    return std::move(message_);
  }

 private:
  Message message_;
  std::vector<nlattr*> nests_;
  bool fits_ = false;
};

void put_address(LinkWriter& out, int type, const std::optional<IpAddress>& address) {
  if (address) out.put(type, address->octets().data(), address->octets().size());
}

void put_ends(LinkWriter& out, const TunnelDevice& device) {
  if (is_gre(device.kind)) {
    put_address(out, IFLA_GRE_LOCAL, device.local);
    put_address(out, IFLA_GRE_REMOTE, device.remote);
    const auto flags = static_cast<std::uint16_t>(device.checksum ? GRE_CSUM : 0);
    out.value(IFLA_GRE_IFLAGS, flags).value(IFLA_GRE_OFLAGS, flags);
    return;
  }
  put_address(out, IFLA_IPTUN_LOCAL, device.local);
  put_address(out, IFLA_IPTUN_REMOTE, device.remote);
  out.value(IFLA_IPTUN_PROTO, static_cast<std::uint8_t>(
                                  device.kind == TunnelKind::ipip ? IPPROTO_IPIP : IPPROTO_IPV6));
}

std::uint8_t family_number(model::Family family) {
  return family == model::Family::v4 ? AF_INET : AF_INET6;
}

}  // namespace

Result<TunnelLink> decode_tunnel(const nlmsghdr& message) {
  constexpr std::size_t skip = NLMSG_ALIGN(sizeof(ifinfomsg));
  if (message.nlmsg_len < NLMSG_HDRLEN + skip)
    return fail(Errc::invalid, "the kernel's message about a device is too short");
  const auto* payload = reinterpret_cast<const std::uint8_t*>(&message) + NLMSG_HDRLEN;
  ifinfomsg header{};
  std::memcpy(&header, payload, sizeof header);
  const auto link = Attributes::of(
      {payload + skip, static_cast<std::size_t>(message.nlmsg_len) - NLMSG_HDRLEN - skip});
  if (!link) return fail(link.error());
  const auto info = link->nested(IFLA_LINKINFO);
  if (!info) return fail(info.error());
  const auto kind = model::tunnel_kind(info->string(IFLA_INFO_KIND));
  if (!kind || header.ifi_index <= 0) return fail(Errc::invalid, "another kind of device");
  const auto data = info->nested(IFLA_INFO_DATA);
  if (!data) return fail(data.error());
  TunnelLink out{.index = static_cast<std::uint32_t>(header.ifi_index),
                 .name = std::string(link->string(IFLA_IFNAME)),
                 .device = {.kind = *kind,
                            .local = some_address(*data, local_type(*kind)).value_or(IpAddress()),
                            .remote = some_address(*data, remote_type(*kind)),
                            .checksum = false,
                            .up = (header.ifi_flags & IFF_UP) != 0,
                            .rp_filter = is_v4(*kind) ? rp_filter_of(*link) : 0}};
  if (is_gre(*kind)) out.device.checksum = (data->u16(IFLA_GRE_IFLAGS).value_or(0) & GRE_CSUM) != 0;
  return out;
}

Result<Message> encode_add_tunnel(const std::string& name, const TunnelDevice& device) {
  LinkWriter out(RTM_NEWLINK, ifinfomsg{});
  out.text(IFLA_IFNAME, name).begin(IFLA_LINKINFO);
  out.text(IFLA_INFO_KIND, model::name(device.kind)).begin(IFLA_INFO_DATA);
  put_ends(out, device);
  return out.end().end().finish();
}

Result<Message> encode_set_tunnel(std::uint32_t index, const TunnelDevice& device) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  header.ifi_flags = device.up ? IFF_UP : 0;
  LinkWriter out(RTM_SETLINK, header);
  if (is_v4(device.kind))
    out.begin(IFLA_AF_SPEC)
        .begin(AF_INET)
        .begin(IFLA_INET_CONF)
        .value(IPV4_DEVCONF_RP_FILTER, device.rp_filter)
        .end()
        .end()
        .end();
  return out.finish();
}

Result<Message> encode_remove_tunnel(std::uint32_t index) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  return LinkWriter(RTM_DELLINK, header).finish();
}

Result<FouEntry> decode_fou(const nlmsghdr& message) {
  const auto attributes = Attributes::of_message(message);
  if (!attributes) return fail(attributes.error());
  const auto port = attributes->be16(FOU_ATTR_PORT);
  const auto family = attributes->u8(FOU_ATTR_AF);
  const auto type = attributes->u8(FOU_ATTR_TYPE);
  if (!port || !type || (family != AF_INET && family != AF_INET6))
    return fail(Errc::invalid, "the kernel listed a foo-over-UDP port without all its settings");
  return FouEntry{
      .key = {family == AF_INET ? model::Family::v4 : model::Family::v6, model::Port{*port}},
      .port = {.gue = *type == FOU_ENCAP_GUE}};
}

Result<genl::Message> encode_list_fou() {
  return genl::Request(FOU_CMD_GET, FOU_GENL_VERSION).finish();
}

Result<genl::Message> encode_add_fou(const model::FouKey& key, const model::FouPort& port) {
  genl::Request out(FOU_CMD_ADD, FOU_GENL_VERSION);
  out.be16(FOU_ATTR_PORT, number(key.port)).u8(FOU_ATTR_AF, family_number(key.family));
  out.u8(FOU_ATTR_TYPE, port.gue ? FOU_ENCAP_GUE : FOU_ENCAP_DIRECT);
  if (!port.gue) out.u8(FOU_ATTR_IPPROTO, IPPROTO_IPIP);
  return out.finish();
}

Result<genl::Message> encode_remove_fou(const model::FouKey& key) {
  return genl::Request(FOU_CMD_DEL, FOU_GENL_VERSION)
      .be16(FOU_ATTR_PORT, number(key.port))
      .u8(FOU_ATTR_AF, family_number(key.family))
      .finish();
}

}  // namespace lbctl::kernel::rtnl
