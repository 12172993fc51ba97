#include "codec.hpp"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <span>

#include "netlink/genl.hpp"

namespace lbctl::kernel::rtnl {
namespace {

using genl::Attributes;
using model::IpAddress;

/// The fixed header of a message and the attributes behind it.
template <class Header>
struct Parts {
  Header header{};
  Attributes attributes;
};

template <class Header>
Result<Parts<Header>> split(const nlmsghdr& message, const char* what) {
  constexpr std::size_t skip = NLMSG_ALIGN(sizeof(Header));
  if (message.nlmsg_len < NLMSG_HDRLEN + skip)
    return fail(Errc::invalid, fmt::format("the kernel's message about {} is too short", what));
  const auto* payload = reinterpret_cast<const std::uint8_t*>(&message) + NLMSG_HDRLEN;
  Parts<Header> parts;
  std::memcpy(&parts.header, payload, sizeof(Header));
  auto attributes = Attributes::of(
      {payload + skip, static_cast<std::size_t>(message.nlmsg_len) - NLMSG_HDRLEN - skip});
  if (!attributes) return fail(std::move(attributes).error().during(what));
  parts.attributes = *attributes;
  return parts;
}

std::optional<IpAddress> address_in(const Attributes& attributes, int type, int family) {
  const auto octets = attributes.bytes(type);
  if (octets.size() != (family == AF_INET ? 4u : 16u)) return std::nullopt;
  return IpAddress::from_octets(octets);
}

bool copy_mac(std::span<const std::uint8_t> octets, model::MacAddress& mac) {
  if (octets.size() != mac.octets.size()) return false;
  std::ranges::copy(octets, mac.octets.begin());
  return true;
}

std::uint8_t family_number(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

/// Puts a message together; what does not fit is remembered until finish().
class Writer {
 public:
  template <class Header>
  Writer(int type, const Header& header) : message_(nlmsg_alloc_simple(type, 0)) {
    Header copy = header;
    fits_ = message_ && nlmsg_append(message_.get(), &copy, sizeof copy, NLMSG_ALIGNTO) == 0;
  }
  Writer& put(int type, std::span<const std::uint8_t> octets) {
    fits_ =
        fits_ && nla_put(message_.get(), type, static_cast<int>(octets.size()), octets.data()) == 0;
    return *this;
  }
  template <class Value>
  Writer& put_value(int type, const Value& value) {
    return put(type, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  }
  Result<Message> finish() {
    if (!fits_) return fail_errno("build a netlink message", ENOMEM);
    return std::move(message_);
  }

 private:
  Message message_;
  bool fits_ = false;
};

ifaddrmsg address_header(const Address& address) {
  ifaddrmsg header{};
  header.ifa_family = family_number(address.address);
  header.ifa_prefixlen = address.prefix;
  header.ifa_index = address.device;
  return header;
}

}  // namespace

bool Neighbour::resolved() const {
  constexpr int usable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
  return (state & usable) != 0 && !mac.is_zero();
}

Result<Address> decode_address(const nlmsghdr& message) {
  auto parts = split<ifaddrmsg>(message, "an address");
  if (!parts) return fail(std::move(parts).error());
  const auto& [header, attributes] = *parts;
  if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6)
    return fail(Errc::invalid, "the kernel's message about an address has no known family");
  // With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours; IPv6 without one has no IFA_LOCAL.
  auto address = address_in(attributes, IFA_LOCAL, header.ifa_family);
  if (!address) address = address_in(attributes, IFA_ADDRESS, header.ifa_family);
  if (!address || header.ifa_prefixlen > address->full_prefix())
    return fail(Errc::invalid, "the kernel's message about an address holds none");
  return Address{.device = header.ifa_index,
                 .address = *address,
                 .prefix = header.ifa_prefixlen,
                 .protocol = attributes.u8(IFA_PROTO).value_or(0)};
}

Result<Link> decode_link(const nlmsghdr& message) {
  auto parts = split<ifinfomsg>(message, "a device");
  if (!parts) return fail(std::move(parts).error());
  const auto& [header, attributes] = *parts;
  Link link;
  link.name = attributes.string(IFLA_IFNAME);
  if (link.name.empty() || header.ifi_index <= 0)
    return fail(Errc::invalid, "the kernel's message about a device does not name it");
  link.facts.index = static_cast<std::uint32_t>(header.ifi_index);
  link.facts.mtu = attributes.u32(IFLA_MTU).value_or(0);
  link.facts.up = (header.ifi_flags & IFF_UP) != 0;
  link.loopback = (header.ifi_flags & IFF_LOOPBACK) != 0;
  const bool ethernet = header.ifi_type == ARPHRD_ETHER;
  link.arp = ethernet && (header.ifi_flags & IFF_NOARP) == 0;
  if (ethernet) copy_mac(attributes.bytes(IFLA_ADDRESS), link.facts.mac);
  if (attributes.has(IFLA_LINKINFO))
    if (const auto info = attributes.nested(IFLA_LINKINFO))
      link.facts.kind = info->string(IFLA_INFO_KIND);
  return link;
}

Result<Neighbour> decode_neighbour(const nlmsghdr& message) {
  auto parts = split<ndmsg>(message, "a neighbour");
  if (!parts) return fail(std::move(parts).error());
  const auto& [header, attributes] = *parts;
  if ((header.ndm_family != AF_INET && header.ndm_family != AF_INET6) || header.ndm_ifindex <= 0)
    return fail(Errc::invalid, "the kernel's message about a neighbour is of another family");
  const auto address = address_in(attributes, NDA_DST, header.ndm_family);
  if (!address)
    return fail(Errc::invalid, "the kernel's message about a neighbour holds no address");
  Neighbour out{.device = static_cast<std::uint32_t>(header.ndm_ifindex),
                .address = *address,
                .mac = {},
                .state = header.ndm_state};
  copy_mac(attributes.bytes(NDA_LLADDR), out.mac);
  return out;
}

Result<Message> encode_add_address(const Address& address, bool on_loopback) {
  ifaddrmsg header = address_header(address);
  const auto octets = address.address.octets();
  if (address.address.is_v4()) {
    // On lo, scope host: such an address serves whoever asks for it and sends ARP answers, but is
    // never chosen as the source of the node's own packets (inet_select_addr), which would come
    // back to another node that has the same VIP. On a real device the usual global scope.
    header.ifa_scope = on_loopback ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    return Writer(RTM_NEWADDR, header)
        .put(IFA_LOCAL, octets)
        .put(IFA_ADDRESS, octets)
        .put_value(IFA_PROTO, address.protocol)
        .finish();
  }
  // Several nodes hold a VIP on purpose: no duplicate address detection. Preferred for 0 seconds
  // ("deprecated"): IPv6 has no scope that keeps an address from being chosen as a source, and
  // answers to a signal address would be forwarded to its real server.
  constexpr std::uint32_t forever = std::numeric_limits<std::uint32_t>::max();
  constexpr std::uint32_t flags = IFA_F_NODAD;
  const ifa_cacheinfo lifetime{.ifa_prefered = 0, .ifa_valid = forever, .cstamp = 0, .tstamp = 0};
  return Writer(RTM_NEWADDR, header)
      .put(IFA_LOCAL, octets)
      .put(IFA_ADDRESS, octets)
      .put_value(IFA_FLAGS, flags)
      .put_value(IFA_CACHEINFO, lifetime)
      .put_value(IFA_PROTO, address.protocol)
      .finish();
}

Result<Message> encode_remove_address(const Address& address) {
  const auto octets = address.address.octets();
  return Writer(RTM_DELADDR, address_header(address))
      .put(IFA_LOCAL, octets)
      .put(IFA_ADDRESS, octets)
      .finish();
}

Result<Message> encode_use_neighbour(std::uint32_t device, const IpAddress& address) {
  ndmsg header{};
  header.ndm_family = family_number(address);
  header.ndm_ifindex = static_cast<int>(device);
  header.ndm_flags = NTF_USE;
  header.ndm_state = NUD_NONE;
  return Writer(RTM_NEWNEIGH, header).put(NDA_DST, address.octets()).finish();
}

Result<Message> encode_ask_route(const IpAddress& address) {
  rtmsg header{};
  header.rtm_family = family_number(address);
  header.rtm_dst_len = address.full_prefix();
  return Writer(RTM_GETROUTE, header).put(RTA_DST, address.octets()).finish();
}

Result<Route> decode_route(const nlmsghdr& message) {
  auto parts = split<rtmsg>(message, "a route");
  if (!parts) return fail(std::move(parts).error());
  const auto& [header, attributes] = *parts;
  if (message.nlmsg_type != RTM_NEWROUTE || header.rtm_type != RTN_UNICAST)
    return fail(Errc::not_found, "there is no unicast route");
  const auto device = attributes.u32(RTA_OIF);
  if (!device) return fail(Errc::invalid, "the kernel's message about a route names no device");
  Route out{.device = *device, .gateway = address_in(attributes, RTA_GATEWAY, header.rtm_family)};
  // The gateway of another family (RFC 5549): struct rtvia.
  const auto via = attributes.bytes(RTA_VIA);
  if (via.size() > sizeof(std::uint16_t)) out.gateway = IpAddress::from_octets(via.subspan(2));
  return out;
}

Result<Message> encode_dump(int type) {
  // Each kind has a header of its own size; all zeros asks for everything.
  if (type == RTM_GETADDR) return Writer(type, ifaddrmsg{}).finish();
  if (type == RTM_GETNEIGH) return Writer(type, ndmsg{}).finish();
  return Writer(type, ifinfomsg{}).finish();
}

}  // namespace lbctl::kernel::rtnl
