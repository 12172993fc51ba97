// Asking a segment who has an address, so that nobody's table changes by the question.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "announce.hpp"

namespace lbctl::kernel::rtnl {

using Holders = std::map<model::IpAddress, std::set<model::MacAddress>>;

/// Who says, at which Ethernet address, that an address is its own.
using Claim = std::pair<model::IpAddress, model::MacAddress>;

/// A way of asking for some addresses.
class Prober {
 public:
  virtual ~Prober() = default;
  virtual int fd() const = 0;  ///< readable when somebody may have answered
  virtual Result<> ask() = 0;
  /// One answer; nothing if what came is none.
  virtual std::optional<Claim> hear() = 0;
};

/// Asks three times (RFC 5227 1.1, PROBE_NUM) within `patience`, which is waited out. Answers from
/// `mac`, the device's own, are left out.
Result<Holders> probe(Prober& prober, const std::set<model::IpAddress>& addresses,
                      const model::MacAddress& mac, std::chrono::milliseconds patience);

struct Device {
  unsigned int index = 0;
  model::MacAddress mac;
};
/// Of the network namespace that the socket `fd` is in.
Result<Device> find_device(int fd, const std::string& name);

/// The whole Ethernet frame of an ARP probe (RFC 5227 2.1.1): the sender names no address of its
/// own.
Frame arp_probe(const model::IpAddress& address, const model::MacAddress& mac);
/// Nothing if the frame is no ARP reply.
std::optional<Claim> read_arp_reply(std::span<const std::uint8_t> frame);

/// The ICMPv6 message (RFC 4861 4.3), whose checksum a raw socket sees to.
std::vector<std::uint8_t> solicitation(const model::IpAddress& address,
                                       const model::MacAddress& mac);
/// Of the ICMPv6 message of a neighbour advertisement (RFC 4861 4.4); nothing if it is none, or
/// does not name an Ethernet address.
std::optional<Claim> read_advertisement(std::span<const std::uint8_t> message);
/// ff02::1:ffXX:XXXX (RFC 4291 2.7.1)
model::IpAddress solicited_node(const model::IpAddress& address);

}  // namespace lbctl::kernel::rtnl
