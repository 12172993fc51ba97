// Whether packets as long as the MTU get to other hosts and back, by echo requests that nobody may
// fragment.
#include "echo.hpp"

#include <fmt/format.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <iterator>

#include "announce.hpp"
#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/facts.hpp"

namespace lbctl::kernel {

namespace {

using model::IpAddress;
using rtnl::Echo;
using Clock = std::chrono::steady_clock;

constexpr int tries = 3;
enum : std::uint16_t { of_short = 1, of_long = 2 };  // sequence numbers
constexpr std::size_t icmp_head = 8, ip4_head = 20, ip6_head = 40;

/// Who has answered what.
struct Heard {
  std::set<IpAddress> to_short, to_long;
};

struct Asking {
  Fd fd;
  bool v4 = true;
  std::uint16_t id = 0;
  std::size_t longest = 0;  ///< of an ICMP message
  std::set<IpAddress> addresses;
};

bool set(const Fd& fd, int level, int option, int value) {
  return ::setsockopt(fd.get(), level, option, &value, sizeof value) == 0;
}

/// Sent as they are, whatever the kernel believes of the path.
bool set_up(const Asking& asking, const std::string& device) {
  const Fd& fd = asking.fd;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                   static_cast<socklen_t>(device.size())) != 0)
    return false;
  if (asking.v4) {
    const int answers = ~(1 << ICMP_ECHOREPLY);
    return set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) &&
           set(fd, SOL_RAW, 1 /* ICMP_FILTER, linux/icmp.h */, answers);
  }
  icmp6_filter filter;
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  return set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) &&
         set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1) &&
         ::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) == 0;
}

Result<Asking> open(const std::string& device, model::Family family, std::size_t mtu,
                    const std::set<IpAddress>& addresses) {
  const bool v4 = family == model::Family::v4;
  Asking out{.fd = Fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
                               v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6})),
             .v4 = v4,
             .id = static_cast<std::uint16_t>(::getpid()),
             .longest = mtu - (v4 ? ip4_head : ip6_head),
             .addresses = {}};
  if (!out.fd) return fail_errno("open an ICMP socket");
  if (!set_up(out, device)) return fail_errno(fmt::format("ask through {}", device));
  std::ranges::copy_if(addresses, std::inserter(out.addresses, out.addresses.end()),
                       [&](const IpAddress& one) { return one.family() == family; });
  return out;
}

void send(const Asking& asking, const IpAddress& to, std::uint16_t sequence, std::size_t size) {
  const auto message = rtnl::echo_request(asking.v4, {asking.id, sequence}, size);
  sockaddr_storage at{};
  if (asking.v4) {
    auto& in = reinterpret_cast<sockaddr_in&>(at);
    in.sin_family = AF_INET;
    std::memcpy(&in.sin_addr, to.octets().data(), sizeof in.sin_addr);
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(at);
    in.sin6_family = AF_INET6;
    std::memcpy(&in.sin6_addr, to.octets().data(), sizeof in.sin6_addr);
  }
  // What can't be sent is not answered.
  (void)::sendto(asking.fd.get(), message.data(), message.size(), 0,
                 reinterpret_cast<const sockaddr*>(&at),
                 asking.v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
}

void ask(const Asking& asking, const Heard& heard) {
  for (const IpAddress& one : asking.addresses) {
    if (!heard.to_short.contains(one)) send(asking, one, of_short, icmp_head);
    if (!heard.to_long.contains(one)) send(asking, one, of_long, asking.longest);
  }
}

/// The source of one answer and what it says; of a long one the beginning is enough.
void hear(const Asking& asking, Heard& heard) {
  std::array<std::uint8_t, 128> buffer{};
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const ssize_t got = ::recvfrom(asking.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &length);
  if (got <= 0) return;
  const auto packet = std::span<const std::uint8_t>(buffer).first(static_cast<std::size_t>(got));
  const auto echo = rtnl::read_echo_reply(asking.v4, packet);
  if (!echo || echo->id != asking.id) return;
  std::array<std::uint8_t, 16> octets{};
  if (asking.v4)
    std::memcpy(octets.data(), &reinterpret_cast<sockaddr_in&>(from).sin_addr, 4);
  else
    std::memcpy(octets.data(), &reinterpret_cast<sockaddr_in6&>(from).sin6_addr, 16);
  const auto source = IpAddress::from_octets(std::span(octets).first(asking.v4 ? 4 : 16)).value();
  if (echo->sequence == of_short) heard.to_short.insert(source);
  if (echo->sequence == of_long) heard.to_long.insert(source);
}

bool done(const Asking& asking, const Heard& heard) {
  return std::ranges::includes(heard.to_long, asking.addresses);
}

void listen(const Asking& asking, Clock::time_point until, Heard& heard) {
  while (!done(asking, heard)) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd waiting{.fd = asking.fd.get(), .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return;
    hear(asking, heard);
  }
}

}  // namespace

namespace rtnl {

std::vector<std::uint8_t> echo_request(bool v4, const Echo& echo, std::size_t size) {
  std::vector<std::uint8_t> out(size);
  const auto put16 = [&](std::size_t at, std::uint16_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value & 0xff);
  };
  out[0] = v4 ? std::uint8_t{ICMP_ECHO} : std::uint8_t{ICMP6_ECHO_REQUEST};
  put16(4, echo.id);
  put16(6, echo.sequence);
  // Of ICMPv6 the kernel makes it.
  if (v4) put16(2, checksum(std::span(out).first(icmp_head)));  // the rest is zeros
  return out;
}

std::optional<Echo> read_echo_reply(bool v4, std::span<const std::uint8_t> packet) {
  std::size_t head = 0;
  if (v4 && !packet.empty()) head = (packet[0] & 0x0fu) * 4;
  if (packet.size() < head + icmp_head || (v4 && head < ip4_head)) return std::nullopt;
  const auto message = packet.subspan(head);
  if (message[0] != (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) return std::nullopt;
  const auto get16 = [&](std::size_t at) {
    return static_cast<std::uint16_t>(message[at] << 8 | message[at + 1]);
  };
  return Echo{get16(4), get16(6)};
}

}  // namespace rtnl

Result<std::set<IpAddress>> find_narrow(const std::string& device,
                                        const std::set<IpAddress>& addresses, std::uint32_t mtu,
                                        std::chrono::milliseconds patience) {
  constexpr std::uint32_t least = 68;  // RFC 791
  std::set<IpAddress> out;
  if (mtu < least) return out;
  for (const auto family : {model::Family::v4, model::Family::v6}) {
    const auto asking = open(device, family, mtu, addresses);
    if (!asking) return fail(asking.error());
    Heard heard;
    const auto start = Clock::now();
    for (int sent = 1; sent <= tries && !done(*asking, heard); ++sent) {
      ask(*asking, heard);
      listen(*asking, start + patience * sent / tries, heard);
    }
    std::ranges::set_difference(heard.to_short, heard.to_long, std::inserter(out, out.end()));
  }
  return out;
}

}  // namespace lbctl::kernel
