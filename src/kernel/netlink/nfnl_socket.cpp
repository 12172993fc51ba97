#include "netlink/nfnl_socket.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

namespace lbctl::kernel::netlink {
namespace {

// The kernel fills dump answers up to 32 KiB at most (netlink_dump).
constexpr std::size_t receive_octets = 65536;

std::string extended_ack(const nlmsghdr& message, const nlmsgerr& error) {
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  // The attributes follow the failed message, of which only the header is left when capped.
  std::size_t skip = sizeof(nlmsgerr);
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (error.msg.nlmsg_len < sizeof(nlmsghdr)) return {};
    skip += MNL_ALIGN(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  const std::size_t payload = mnl_nlmsg_get_payload_len(&message);
  if (skip > payload) return {};
  const auto* at = static_cast<const char*>(mnl_nlmsg_get_payload(&message)) + skip;
  auto left = static_cast<int>(payload - skip);
  const auto* attribute = reinterpret_cast<const nlattr*>(at);
  while (mnl_attr_ok(attribute, left)) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) {
      const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
      const std::string_view all(text, mnl_attr_get_payload_len(attribute));
      return std::string(all.substr(0, all.find('\0')));
    }
    left -= MNL_ALIGN(attribute->nla_len);
    if (left <= 0) break;
    attribute = mnl_attr_next(attribute);
  }
  return {};
}

}  // namespace

Verdict parse_verdict(const nlmsghdr& message) {
  if (mnl_nlmsg_get_payload_len(&message) < sizeof(nlmsgerr))
    return {.seq = message.nlmsg_seq, .sys = EBADMSG, .words = {}};
  const auto& error = *static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message));
  // INT_MIN has no positive counterpart and is no errno.
  const int sys = error.error == std::numeric_limits<int>::min() ? EBADMSG : std::abs(error.error);
  return {.seq = error.msg.nlmsg_seq, .sys = sys, .words = extended_ack(message, error)};
}

bool walk(std::span<const std::uint8_t> datagram,
          const std::function<void(const nlmsghdr&)>& each) {
  while (!datagram.empty()) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
    if (datagram.size() < sizeof(nlmsghdr) || message->nlmsg_len < sizeof(nlmsghdr) ||
        message->nlmsg_len > datagram.size())
      return false;
    each(*message);
    datagram = datagram.subspan(
        std::min<std::size_t>(MNL_ALIGN(std::size_t{message->nlmsg_len}), datagram.size()));
  }
  return true;
}

Result<NfnlSocket> NfnlSocket::open() {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket) {
    Error error = Error::from_errno(errno, "open a netlink socket to netfilter");
    if (error.code() == Errc::unsupported)
      return fail(std::move(error).with_hint(
          "modprobe nfnetlink (kernel option CONFIG_NETFILTER_NETLINK)"));
    return fail(std::move(error));
  }
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return fail_errno("bind a netlink socket to netfilter");
  // Both are niceties of Linux 4.12 and later: the kernel's words, without an echo of the request.
  int on = 1;
  mnl_socket_setsockopt(socket.get(), NETLINK_EXT_ACK, &on, sizeof on);
  mnl_socket_setsockopt(socket.get(), NETLINK_CAP_ACK, &on, sizeof on);
  return NfnlSocket(std::move(socket));
}

void NfnlSocket::make_room(std::size_t octets) {
  // A netlink message must fit in the send buffer whole (EMSGSIZE). FORCE needs CAP_NET_ADMIN in
  // the first user namespace; without it net.core.wmem_max is the limit. Answers are counted with
  // their kernel overhead: room for a refusal of every message.
  const int send = static_cast<int>(std::min<std::size_t>(octets + 65536, 1U << 30));
  const int receive = static_cast<int>(std::min<std::size_t>(octets * 4 + 1048576, 1U << 30));
  const int fd = mnl_socket_get_fd(socket_.get());
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send, sizeof send) < 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof send);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
}

Result<std::span<const std::uint8_t>> NfnlSocket::receive(int flags) {
  // One zero more than the kernel may fill: libnftnl reads attribute strings up to their zero.
  buffer_.assign(receive_octets + 1, 0);
  for (;;) {
    const ssize_t got =
        ::recv(mnl_socket_get_fd(socket_.get()), buffer_.data(), receive_octets, flags | MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("receive from netfilter");
    if (static_cast<std::size_t>(got) > receive_octets)
      return fail(Errc::invalid, "receive from netfilter: an answer longer than 64 KiB");
    return std::span<const std::uint8_t>(buffer_).first(static_cast<std::size_t>(got));
  }
}

namespace {

/// What a dump's or a get's answer says: nothing while more is to come.
struct Progress {
  bool finished = false, interrupted = false;
  Verdict verdict;
};

void take(const nlmsghdr& message, std::uint32_t seq, const NfnlSocket::OnMessage& on_message,
          Progress& progress) {
  if (message.nlmsg_seq != seq) return;  // left over from an earlier request
  if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) progress.interrupted = true;
  if (message.nlmsg_type == NLMSG_ERROR) {
    progress.verdict = parse_verdict(message);
    progress.finished = true;
  } else if (message.nlmsg_type == NLMSG_DONE) {
    progress.finished = true;
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(int)) return;
    const int status = *static_cast<const int*>(mnl_nlmsg_get_payload(&message));
    if (status < 0 && status != std::numeric_limits<int>::min()) progress.verdict.sys = -status;
  } else if (message.nlmsg_type >= NLMSG_MIN_TYPE) {
    on_message(message);
  }
}

}  // namespace

Result<> NfnlSocket::request(const nlmsghdr& request, const OnMessage& on_message) {
  if (mnl_socket_sendto(socket_.get(), &request, request.nlmsg_len) < 0)
    return fail_errno("send to netfilter");
  Progress progress;
  while (!progress.finished) {
    auto datagram = receive(0);
    if (!datagram) return fail(std::move(datagram).error());
    if (!walk(*datagram, [&](const nlmsghdr& message) {
          take(message, request.nlmsg_seq, on_message, progress);
        }))
      return fail(Errc::invalid, "read from netfilter: an answer that is cut off");
  }
  if (progress.verdict.sys != 0)
    return fail(Error::from_errno(progress.verdict.sys, "read from netfilter")
                    .kernel_said(progress.verdict.words));
  if (progress.interrupted)
    return fail(Error::from_errno(EINTR, "read from netfilter: the ruleset changed meanwhile"));
  return {};
}

Result<std::vector<Verdict>> NfnlSocket::transact(std::span<const std::uint8_t> batch) {
  make_room(batch.size());
  if (mnl_socket_sendto(socket_.get(), batch.data(), batch.size()) < 0) {
    Error error = Error::from_errno(errno, "send a batch to netfilter");
    if (error.sys() == EMSGSIZE || error.sys() == ENOBUFS)
      return fail(std::move(error).with_hint("raise net.core.wmem_max"));
    return fail(std::move(error));
  }
  std::vector<Verdict> refused;
  bool acknowledged = false;
  for (;;) {
    auto datagram = receive(MSG_DONTWAIT);
    if (!datagram) {
      if (datagram.error().sys() == EAGAIN) break;
      // Answers were lost; the first ones are still queued, and a lost acknowledgement is seen
      // below.
      if (datagram.error().sys() == ENOBUFS) continue;
      return fail(std::move(datagram).error());
    }
    const bool whole = walk(*datagram, [&](const nlmsghdr& message) {
      if (message.nlmsg_type != NLMSG_ERROR) return;
      Verdict verdict = parse_verdict(message);
      acknowledged = true;
      if (verdict.sys != 0) refused.push_back(std::move(verdict));
    });
    if (!whole) return fail(Errc::invalid, "netfilter's answer to the batch is cut off");
  }
  if (!acknowledged) return fail(Errc::system, "netfilter did not answer the batch");
  return refused;
}

}  // namespace lbctl::kernel::netlink
