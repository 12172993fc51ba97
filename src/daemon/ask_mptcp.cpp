// mptcp: a connection by this node's own MPTCP, then one by hand whose answers tell more, with
// joins.
#include <linux/filter.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <span>

#include "asking.hpp"
#include "join_talk.hpp"
#include "lbctl/base/handle.hpp"

namespace lbctl::daemon {

using asio::ip::tcp;
using Descriptor = asio::posix::stream_descriptor;
using Clock = std::chrono::steady_clock;

namespace {

/// SOL_MPTCP; Debian 12's libc has no name for it.
constexpr int level_mptcp = 284;
/// After this, what stands unanswered is sent again.
constexpr auto patience = std::chrono::milliseconds(300);
/// Of an answer: an IP header and a TCP header, each with all options.
constexpr std::size_t most_packet = 60 + 60;

/// A socket that fell back to TCP either says so or knows nothing of MPTCP any more.
bool speaks_mptcp(Stream& stream) {
  mptcp_info info{};
  socklen_t size = sizeof info;
  const int got =
      ::getsockopt(stream.socket().native_handle(), level_mptcp, MPTCP_INFO, &info, &size);
  return got == 0 && (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
}

Verdict no_packets() {
  const error_code error(errno, boost::system::system_category());
  return unknown("this node sends no joins: " + error.message());
}

bool filter(int fd, std::span<sock_filter> code) {
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

tcp::endpoint endpoint_of(const model::IpAddress& address, std::uint16_t port = 0) {
  return {asio::ip::make_address(address.text()), port};
}

bool bind_to(int fd, const model::IpAddress& address) {
  const tcp::endpoint at = endpoint_of(address);
  return ::bind(fd, at.data(), static_cast<socklen_t>(at.size())) == 0;
}

/// A port that is nobody else's. The socket listens, so that the kernel asks it what to do with
/// answers, and its filter drops them all: else the kernel would end with RST what it knows nothing
/// of. 0: this failed, errno tells.
std::uint16_t reserve(const Fd& fd, const model::IpAddress& address) {
  std::array drop{sock_filter BPF_STMT(BPF_RET | BPF_K, 0)};
  tcp::endpoint got;
  auto size = static_cast<socklen_t>(got.capacity());
  const bool done = filter(fd.get(), drop) && bind_to(fd.get(), address) &&
                    ::listen(fd.get(), 1) == 0 && ::getsockname(fd.get(), got.data(), &size) == 0;
  return done ? got.port() : 0;
}

/// Gets what comes for that port, and sends whole IP packets.
bool prepare(int fd, const model::IpAddress& address, std::uint16_t port, std::uint32_t mark) {
  const bool v4 = address.is_v4();
  const int on = 1;
  // An IPv4 socket sees the IP header, one of IPv6 does not.
  std::array ours{v4 ? sock_filter BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0)
                     : sock_filter BPF_STMT(BPF_LDX | BPF_IMM, 0),
                  sock_filter BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, most_packet),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, 0)};
  return filter(fd, ours) && bind_to(fd, address) &&
         ::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_HDRINCL : IPV6_HDRINCL, &on,
                      sizeof on) == 0 &&
         (mark == 0 || ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0);
}

/// With a packet's own header the kernel resolves the Ethernet address of `next_hop`, whatever the
/// packet's destination. What is lost is sent again.
void send(int fd, const std::vector<JoinTalk::Outgoing>& packets) {
  for (const auto& [next_hop, packet] : packets) {
    const tcp::endpoint to = endpoint_of(next_hop);
    (void)::sendto(fd, packet.data(), packet.size(), 0, to.data(),
                   static_cast<socklen_t>(to.size()));
  }
}

/// Takes all that has come. Whether something else is due now.
bool receive(int fd, JoinTalk& talk) {
  bool news = false;
  std::array<char, most_packet> buffer{};
  tcp::endpoint from;
  for (;;) {
    auto size = static_cast<socklen_t>(from.capacity());
    const ssize_t got = ::recvfrom(fd, buffer.data(), buffer.size(), 0, from.data(), &size);
    if (got <= 0) return news;
    std::string_view segment(buffer.data(), static_cast<std::size_t>(got));
    if (from.protocol() == tcp::v4())
      segment.remove_prefix(std::min<std::size_t>(segment.size(), (segment[0] & 0xf) * 4));
    const auto address = model::IpAddress::parse(from.address().to_string());
    if (address && talk.hear(*address, segment)) news = true;
  }
}

awaitable<Verdict> converse(std::shared_ptr<Descriptor> packets, JoinTalk talk,
                            Clock::time_point deadline) {
  const int raw = packets->native_handle();
  while (!talk.outcome() && Clock::now() < deadline) {
    send(raw, talk.due());
    const auto again = std::min(deadline, Clock::now() + patience);
    while (!receive(raw, talk) && Clock::now() < again)
      co_await readable(packets, again);
  }
  send(raw, talk.farewell());
  const std::string why = talk.outcome().value_or(talk.unanswered());
  co_return why.empty() ? right() : wrong(why);
}

/// A connection with one join, from that address.
awaitable<Verdict> ask_join(const ProbeSpec& spec, model::IpAddress self, model::EndpointKey signal,
                            Clock::time_point deadline) {
  const int family = self.is_v4() ? AF_INET : AF_INET6;
  const Fd reserved(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::uint16_t port = reserved ? reserve(reserved, self) : 0;
  if (port == 0) co_return no_packets();
  const int raw = ::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (raw < 0) co_return no_packets();
  const auto packets = std::make_shared<Descriptor>(co_await asio::this_coro::executor, raw);
  const std::uint32_t mark = spec.through ? spec.through->mark : spec.join_mark;
  if (!prepare(raw, self, port, mark)) co_return no_packets();
  const JoinTalk::Ends ends{
      {self, model::Port{port}}, {asked_address(spec), spec.port}, signal, spec.address};
  const std::uint64_t sequences = random_number();
  const JoinTalk::Chance chance{random_number(), static_cast<std::uint32_t>(sequences >> 32U),
                                static_cast<std::uint32_t>(sequences),
                                static_cast<std::uint32_t>(random_number())};
  co_return co_await converse(packets, JoinTalk(ends, chance), deadline);
}

}  // namespace

awaitable<Verdict> ask_mptcp(const ProbeSpec& spec) {
  const auto deadline = Clock::now() + std::chrono::seconds(spec.check.timeout);
  Stream stream(co_await asio::this_coro::executor);
  if (auto trouble = co_await connect(stream, spec)) co_return *trouble;
  const bool spoken = speaks_mptcp(stream);
  error_code error;
  const auto self =
      model::IpAddress::parse(stream.socket().local_endpoint(error).address().to_string());
  hang_up(stream);
  if (!spoken || !self) co_return wrong("the server speaks TCP without MPTCP");
  // One after the other, each to a connection of its own: together they may be more than the
  // server takes.
  for (const model::EndpointKey& signal : spec.joins)
    if (Verdict one = co_await ask_join(spec, *self, signal, deadline); one.answer != Answer::right)
      co_return one;
  co_return right();
}

}  // namespace lbctl::daemon
