#include "socket.hpp"

#include <linux/rtnetlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "netlink/genl.hpp"

namespace lbctl::kernel::rtnl {
namespace {

// A dump that is overtaken by changes this often will not settle.
constexpr int dump_tries = 16;

}  // namespace

Result<Socket> Socket::open(int family) {
  Handle handle(nl_socket_alloc());
  if (!handle) return fail_errno("open a netlink socket", ENOMEM);
  errno = 0;
  if (nl_connect(handle.get(), family) < 0) return fail_errno("open a netlink socket");
  const int on = 1;
  // Refinements: without them errors are less clear, nothing else.
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK})
    setsockopt(nl_socket_get_fd(handle.get()), SOL_NETLINK, option, &on, sizeof on);
  return Socket(std::move(handle));
}

Result<> Socket::send(const Message& message, std::uint16_t flags) {
  nlmsghdr* header = nlmsg_hdr(message.get());
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = ++sequence_;
  header->nlmsg_pid = nl_socket_get_local_port(handle_.get());
  ssize_t sent = 0;
  do {
    sent = ::send(nl_socket_get_fd(handle_.get()), header, header->nlmsg_len, 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("send to the kernel");
  return {};
}

Result<> Socket::receive(const std::function<void(const nlmsghdr&)>& on_message) {
  bool complete = false, overtaken = false;
  genl::Verdict verdict;
  while (!complete) {
    const ssize_t got = ::recv(nl_socket_get_fd(handle_.get()), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("receive from the kernel");
    auto walked = genl::walk(
        {buffer_.data(), static_cast<std::size_t>(got)}, [&](const nlmsghdr& message) -> Result<> {
          if (message.nlmsg_seq != sequence_) return {};
          overtaken = overtaken || (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
          if (message.nlmsg_type >= NLMSG_MIN_TYPE) {
            on_message(message);
            return {};
          }
          if (message.nlmsg_type != NLMSG_DONE && message.nlmsg_type != NLMSG_ERROR) return {};
          complete = true;
          auto closing = genl::decode_verdict(message);
          if (!closing) return fail(std::move(closing).error());
          verdict = std::move(*closing);
          return {};
        });
    if (!walked) return walked;
  }
  if (verdict.sys != 0)
    return fail(Error::from_errno(verdict.sys, "rtnetlink").kernel_said(verdict.words));
  if (overtaken) return fail(Error::from_errno(EINTR, "rtnetlink"));
  return {};
}

Result<> Socket::change(const Message& message, std::uint16_t flags) {
  if (auto sent = send(message, static_cast<std::uint16_t>(NLM_F_ACK | flags)); !sent) return sent;
  return receive([](const nlmsghdr&) {});
}

Result<> Socket::ask(const Message& message,
                     const std::function<void(const nlmsghdr&)>& on_message) {
  if (auto sent = send(message, NLM_F_ACK); !sent) return sent;
  return receive(on_message);
}

Result<> Socket::dump(const Message& request, const std::function<void()>& start,
                      const std::function<void(const nlmsghdr&)>& on_message) {
  for (int tries = 0; tries < dump_tries; ++tries) {
    start();
    if (auto sent = send(request, NLM_F_DUMP); !sent) return sent;
    auto read = receive(on_message);
    if (read || (read.error().sys() != EINTR && read.error().sys() != ENOBUFS)) return read;
  }
  return fail(Errc::busy, "what the kernel lists keeps changing while it is read");
}

Result<> Socket::listen_to_neighbours() {
  if (nl_socket_add_membership(handle_.get(), RTNLGRP_NEIGH) < 0)
    return fail_errno("listen to news of neighbours");
  return {};
}

void Socket::wait_for_news(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd one{.fd = nl_socket_get_fd(handle_.get()), .events = POLLIN, .revents = 0};
  ::poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  // What was said does not matter: the reader looks at the whole table again. ENOBUFS is news too.
  while (::recv(one.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace lbctl::kernel::rtnl
