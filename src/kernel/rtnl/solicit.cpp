// Neighbour solicitations with a source, other than those of duplicate address detection: the
// answer to one from :: goes to all nodes and overrides what they know (RFC 4861 7.2.4, 7.2.5), and
// whoever is just about to take the address gives it up (RFC 4862 5.4.3). This one is answered to
// the asker alone.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/facts.hpp"
#include "probe.hpp"

namespace lbctl::kernel {
namespace rtnl {
namespace {

using model::IpAddress;
using model::MacAddress;

constexpr int on_link = 255;  // the hop limit of what no router sent on

sockaddr_in6 socket_address(const IpAddress& address, unsigned int device) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_scope_id = device;
  std::memcpy(&out.sin6_addr, address.octets().data(), sizeof out.sin6_addr);
  return out;
}

class NdProber final : public Prober {
 public:
  NdProber(Fd fd, const Device& device, const std::set<IpAddress>& addresses)
      : fd_(std::move(fd)), device_(device), addresses_(addresses) {}

  int fd() const override { return fd_.get(); }

  Result<> ask() override {
    for (const IpAddress& address : addresses_) {
      const auto message = solicitation(address, device_.mac);
      const sockaddr_in6 to = socket_address(solicited_node(address), device_.index);
      if (::sendto(fd_.get(), message.data(), message.size(), 0,
                   reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
        return fail_errno("send a neighbour solicitation");
    }
    return {};
  }

  std::optional<Claim> hear() override {
    std::array<std::uint8_t, 256> buffer{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (got <= 0 || hop_limit(message) != on_link) return std::nullopt;
    return read_advertisement(std::span(buffer).first(static_cast<std::size_t>(got)));
  }

 private:
  static int hop_limit(msghdr& message) {
    int out = 0;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one))
      if (one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_HOPLIMIT)
        std::memcpy(&out, CMSG_DATA(one), sizeof out);
    return out;
  }

  Fd fd_;
  Device device_;
  const std::set<IpAddress>& addresses_;
};

bool set(const Fd& fd, int level, int option, int value) {
  return ::setsockopt(fd.get(), level, option, &value, sizeof value) == 0;
}

bool set_up(const Fd& fd, const std::string& device, unsigned int index) {
  icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
  return ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                      static_cast<socklen_t>(device.size())) == 0 &&
         ::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) == 0 &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(index)) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, on_link) &&
         set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) &&
         set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
}

/// The device's own addresses, link-local ones first. Not one that is asked for: it would be taken
/// from who has it.
std::vector<sockaddr_in6> sources(const std::string& device, const std::set<IpAddress>& asked) {
  std::vector<sockaddr_in6> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return out;
  const CHandle<ifaddrs, &::freeifaddrs> owner(all);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET6) continue;
    if (device != one->ifa_name) continue;
    sockaddr_in6 address{};
    std::memcpy(&address, one->ifa_addr, sizeof address);
    const auto octets = std::span(address.sin6_addr.s6_addr);
    if (!asked.contains(IpAddress::from_octets(octets).value())) out.push_back(address);
  }
  std::ranges::stable_partition(
      out, [](const sockaddr_in6& one) { return IN6_IS_ADDR_LINKLOCAL(&one.sin6_addr); });
  return out;
}

/// One that is still tentative can't be bound to.
bool bind_to_any(const Fd& fd, const std::vector<sockaddr_in6>& sources) {
  return std::ranges::any_of(sources, [&](const sockaddr_in6& source) {
    return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0;
  });
}

}  // namespace

std::vector<std::uint8_t> solicitation(const IpAddress& address, const MacAddress& mac) {
  std::vector<std::uint8_t> out(32);
  out[0] = ND_NEIGHBOR_SOLICIT;
  std::ranges::copy(address.octets(), out.begin() + 8);
  out[24] = ND_OPT_SOURCE_LINKADDR;
  out[25] = 1;  // in units of 8 octets
  std::ranges::copy(mac.octets, out.begin() + 26);
  return out;
}

std::optional<Claim> read_advertisement(std::span<const std::uint8_t> message) {
  constexpr std::size_t head = 24, unit = 8;
  if (message.size() < head || message[0] != ND_NEIGHBOR_ADVERT || message[1] != 0)
    return std::nullopt;
  const auto target = IpAddress::from_octets(message.subspan(8, 16));
  // A length of 0 would go on for ever (RFC 4861 4.6).
  for (auto options = message.subspan(head); options.size() >= unit && options[1] != 0;) {
    const std::size_t length = options[1] * unit;
    if (options[0] == ND_OPT_TARGET_LINKADDR && length == unit) {
      MacAddress mac;
      std::ranges::copy(options.subspan(2, mac.octets.size()), mac.octets.begin());
      return Claim(*target, mac);
    }
    options = options.subspan(std::min(length, options.size()));
  }
  return std::nullopt;
}

IpAddress solicited_node(const IpAddress& address) {
  std::array<std::uint8_t, 16> out{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  std::ranges::copy(address.octets().last(3), out.begin() + 13);
  return IpAddress::from_octets(out).value();
}

}  // namespace rtnl

Result<rtnl::Holders> find_ndp_holders(const std::string& device,
                                       const std::set<model::IpAddress>& addresses,
                                       std::chrono::milliseconds patience) {
  if (addresses.empty()) return {};
  Fd fd(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
  if (!fd) return fail_errno("open an ICMPv6 socket");
  const auto found = rtnl::find_device(fd.get(), device);
  if (!found) return fail(found.error());
  if (!rtnl::set_up(fd, device, found->index))
    return fail_errno(fmt::format("listen on {}", device));
  if (!rtnl::bind_to_any(fd, rtnl::sources(device, addresses)))
    return fail(
        Error(Errc::not_found, fmt::format("{} has no IPv6 address of its own to ask from", device))
            .with_hint(fmt::format("give {} a link-local address", device)));
  rtnl::NdProber prober(std::move(fd), *found, addresses);
  return rtnl::probe(prober, addresses, found->mac, patience);
}

}  // namespace lbctl::kernel
