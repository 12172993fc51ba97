#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>

#include "netlink/genl.hpp"

namespace lbctl::kernel::genl {

namespace {
// The kernel builds a dump in pieces as large as the largest buffer that it has seen on the socket,
// up to 32 KiB, and Debian's clears each piece first (init_on_alloc). A dump takes two pieces at
// least, and IPVS needs one for each service: with 32 KiB the clearing alone was a fifth of an
// apply without changes. Together with the kernel's own 320 octets this size fills two pages; no
// piece is ever larger than what a buffer of this size asks for (NLMSG_GOODSIZE).
constexpr std::size_t buffer_size = 8192 - 320;
constexpr std::size_t buffer_count = 16;
constexpr int receive_buffer = 4 << 20;
// A dump that is overtaken by changes this often will not settle.
constexpr int dump_tries = 16;

Error from_verdict(const Verdict& verdict, std::string what) {
  return Error::from_errno(verdict.sys, std::move(what)).kernel_said(verdict.words);
}
}  // namespace

Socket::Socket(Handle handle) : handle_(std::move(handle)), buffers_(buffer_size * buffer_count) {}

int Socket::fd() const {
  return nl_socket_get_fd(handle_.get());
}

Result<Socket> Socket::open() {
  Handle handle(nl_socket_alloc());
  if (!handle) return fail_errno("open a netlink socket", ENOMEM);
  errno = 0;
  if (genl_connect(handle.get()) < 0) return fail_errno("open a generic netlink socket");
  Socket out(std::move(handle));
  const int on = 1;
  // All three are refinements: without them errors are less clear, nothing else.
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK})
    setsockopt(out.fd(), SOL_NETLINK, option, &on, sizeof on);
  if (setsockopt(out.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    setsockopt(out.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  return out;
}

Result<std::uint16_t> Socket::family(const std::string& name) {
  auto message = Request(CTRL_CMD_GETFAMILY, 1).string(CTRL_ATTR_FAMILY_NAME, name).finish();
  if (!message) return fail(std::move(message.error()));
  std::optional<std::uint16_t> id;
  auto read = single(GENL_ID_CTRL, *message, [&](const nlmsghdr& answer) -> Result<> {
    auto attributes = Attributes::of_message(answer);
    if (!attributes) return fail(std::move(attributes.error()));
    id = attributes->u16(CTRL_ATTR_FAMILY_ID);
    return {};
  });
  if (!read) return fail(std::move(read.error()).during("look up netlink family " + name));
  if (!id) return fail(Errc::invalid, "the kernel gave netlink family " + name + " no number");
  return *id;
}

Result<> Socket::send(std::uint16_t family, std::span<const Message> batch, std::uint16_t flags,
                      std::uint16_t last_flags) {
  outgoing_.clear();
  for (const Message& message : batch) {
    const nlmsghdr header{.nlmsg_len = static_cast<std::uint32_t>(message.size()),
                          .nlmsg_type = family,
                          .nlmsg_flags = static_cast<std::uint16_t>(
                              flags | (&message == &batch.back() ? last_flags : 0)),
                          .nlmsg_seq = ++sequence_,
                          .nlmsg_pid = nl_socket_get_local_port(handle_.get())};
    const auto* start = reinterpret_cast<const std::uint8_t*>(&header);
    outgoing_.insert(outgoing_.end(), start, start + sizeof header);
    outgoing_.insert(outgoing_.end(), message.begin() + NLMSG_HDRLEN, message.end());
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = sendto(fd(), outgoing_.data(), outgoing_.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("send to the kernel");
  return {};
}

Result<std::size_t> Socket::receive(std::uint32_t first,
                                    const std::function<Result<>(const nlmsghdr&)>& each) {
  std::array<iovec, buffer_count> parts;
  std::array<sockaddr_nl, buffer_count> senders{};
  std::array<mmsghdr, buffer_count> in{};
  for (std::size_t i = 0; i < buffer_count; ++i) {
    parts[i] = {buffers_.data() + i * buffer_size, buffer_size};
    in[i].msg_hdr.msg_name = &senders[i];
    in[i].msg_hdr.msg_namelen = sizeof senders[i];
    in[i].msg_hdr.msg_iov = &parts[i];
    in[i].msg_hdr.msg_iovlen = 1;
  }
  int got = 0;
  do {
    got = recvmmsg(fd(), in.data(), buffer_count, MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return std::size_t{0};
  if (got < 0) return fail_errno("receive from the kernel");
  Result<> outcome;  // the first error; the rest is read all the same, to keep the socket in step
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    if (senders[i].nl_pid != 0) continue;  // not from the kernel
    if ((in[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 && outcome)
      outcome = fail(Errc::invalid, "an answer of the kernel is longer than the buffer");
    auto walked = walk({buffers_.data() + i * buffer_size, in[i].msg_len},
                       [&](const nlmsghdr& message) -> Result<> {
                         // Leftovers of earlier requests are older; the difference survives a wrap.
                         if (message.nlmsg_seq - first > sequence_ - first) return {};
                         return each(message);
                       });
    if (!walked && outcome) outcome = std::move(walked);
  }
  if (!outcome) return fail(std::move(outcome.error()));
  return static_cast<std::size_t>(got);
}

void Socket::drain() {
  // Reading also drives a dump to its end. Each ENOBUFS is reported once.
  for (;;) {
    auto got = receive(sequence_ + 1, [](const nlmsghdr&) -> Result<> { return {}; });
    if (got ? *got == 0 : got.error().sys() != ENOBUFS) return;
  }
}

Result<std::vector<Failure>> Socket::transact(std::uint16_t family,
                                              std::span<const Message> batch) {
  std::vector<Failure> failures;
  if (batch.empty()) return failures;
  if (batch.size() > batch_max) return fail(Errc::invalid, "too many requests in one batch");
  const std::uint32_t first = sequence_ + 1;
  if (auto sent = send(family, batch, NLM_F_REQUEST, NLM_F_ACK); !sent)
    return fail(std::move(sent.error()));
  bool complete = false;
  while (!complete) {
    auto got = receive(first, [&](const nlmsghdr& message) -> Result<> {
      if (message.nlmsg_type != NLMSG_ERROR) return {};
      auto verdict = decode_verdict(message);
      if (!verdict) return fail(std::move(verdict.error()));
      complete = complete || message.nlmsg_seq == sequence_;
      if (verdict->sys != 0) failures.push_back({message.nlmsg_seq - first, std::move(*verdict)});
      return {};
    });
    if (!got) {
      drain();
      return fail(std::move(got.error()).during("answers to changes were lost"));
    }
    if (*got == 0) return fail(Errc::system, "the kernel did not answer a change", ENOMSG);
  }
  std::ranges::sort(failures, {}, &Failure::index);
  return failures;
}

Result<bool> Socket::dump_once(std::uint16_t family, const Message& request,
                               const DumpReader& reader) {
  if (auto sent = send(family, {&request, 1}, NLM_F_REQUEST | NLM_F_DUMP, 0); !sent)
    return fail(std::move(sent.error()));
  DumpProgress progress;
  const auto read = [&](const nlmsghdr& message) { return progress.take(message, reader.message); };
  while (!progress.complete()) {
    auto got = receive(sequence_, read);
    if (!got) {
      const bool lost = got.error().sys() == ENOBUFS;
      drain();
      if (lost) return false;
      return fail(std::move(got.error()));
    }
    if (*got == 0) return fail(Errc::system, "the kernel left a dump unfinished", ENOMSG);
  }
  if (progress.overtaken()) return false;
  if (progress.verdict().sys != 0)
    return fail(from_verdict(progress.verdict(), "read from the kernel"));
  return true;
}

Result<> Socket::dump(std::uint16_t family, const Message& request, const DumpReader& reader) {
  for (int i = 0; i < dump_tries; ++i) {
    reader.start();
    auto whole = dump_once(family, request, reader);
    if (!whole) return fail(std::move(whole.error()));
    if (*whole) return {};
  }
  return fail(Errc::busy, "what the kernel lists keeps changing while it is read");
}

Result<> Socket::single(std::uint16_t family, const Message& request,
                        const std::function<Result<>(const nlmsghdr&)>& message) {
  if (auto sent = send(family, {&request, 1}, NLM_F_REQUEST, NLM_F_ACK); !sent) return sent;
  bool complete = false;
  Verdict verdict;
  while (!complete) {
    auto got = receive(sequence_, [&](const nlmsghdr& answer) -> Result<> {
      if (answer.nlmsg_type >= NLMSG_MIN_TYPE) return message(answer);
      if (answer.nlmsg_type != NLMSG_ERROR) return {};
      complete = true;
      auto closing = decode_verdict(answer);
      if (!closing) return fail(std::move(closing.error()));
      verdict = std::move(*closing);
      return {};
    });
    if (!got) {
      drain();
      return fail(std::move(got.error()));
    }
    if (*got == 0) return fail(Errc::system, "the kernel did not answer", ENOMSG);
  }
  if (verdict.sys != 0) return fail(from_verdict(verdict, "read from the kernel"));
  return {};
}

}  // namespace lbctl::kernel::genl
