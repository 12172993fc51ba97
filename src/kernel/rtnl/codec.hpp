// rtnetlink messages to values and back (include/uapi/linux/rtnetlink.h, if_addr.h, neighbour.h).
// Pure: nothing here opens a socket.
#pragma once

#include <netlink/msg.h>

#include <cstdint>
#include <optional>
#include <string>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"
#include "lbctl/model/facts.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::kernel::rtnl {

/// A finished request; the socket fills in flags and sequence number.
using Message = CHandle<nl_msg, &nlmsg_free>;

struct Address {
  std::uint32_t device = 0;  ///< interface index
  model::IpAddress address;  ///< the local end
  std::uint8_t prefix = 0;
  std::uint8_t protocol = 0;  ///< IFA_PROTO; 0 if the kernel named none
  friend bool operator==(const Address&, const Address&) = default;
};

struct Link {
  std::string name;
  model::LinkFacts facts;
  bool loopback = false;
  bool arp = true;  ///< neighbours are resolved here (no IFF_NOARP, Ethernet addresses)
};

struct Route {
  std::uint32_t device = 0;                 ///< interface index
  std::optional<model::IpAddress> gateway;  ///< nothing: on the link
};

struct Neighbour {
  std::uint32_t device = 0;
  model::IpAddress address;
  model::MacAddress mac;
  std::uint16_t state = 0;  ///< NUD_*
  /// The MAC may be used: reachable, stale, delay, probe or permanent.
  bool resolved() const;
};

/// Errc::invalid if the message does not make sense.
Result<Address> decode_address(const nlmsghdr& message);
Result<Link> decode_link(const nlmsghdr& message);
/// Errc::invalid also for entries of other families (bridge, MPLS), which a reader skips.
Result<Neighbour> decode_neighbour(const nlmsghdr& message);

/// RTM_NEWADDR or RTM_DELADDR. `on_loopback` decides the IPv4 scope: see the definition.
Result<Message> encode_add_address(const Address& address, bool on_loopback);
Result<Message> encode_remove_address(const Address& address);
/// Makes the kernel resolve a neighbour as if a packet were waiting (NTF_USE).
Result<Message> encode_use_neighbour(std::uint32_t device, const model::IpAddress& address);
/// RTM_GETROUTE: the route that a packet to `address` would take.
Result<Message> encode_ask_route(const model::IpAddress& address);
/// The answer. Of several next hops the first.
Result<Route> decode_route(const nlmsghdr& message);
/// RTM_GETADDR, RTM_GETLINK or RTM_GETNEIGH for everything.
Result<Message> encode_dump(int type);

}  // namespace lbctl::kernel::rtnl
