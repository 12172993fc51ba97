#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "netlink/genl.hpp"

namespace lbctl::kernel::genl {

namespace {
// The largest request here (a service with all its attributes) takes about 130 octets.
constexpr std::size_t request_size = 512;
constexpr std::size_t usual_size = 160;

// libnl's walkers take pointers that are not const but only read.
template <class T>
T* without_const(const std::uint8_t* p) {
  return reinterpret_cast<T*>(const_cast<std::uint8_t*>(p));
}
}  // namespace

Request::Request(std::uint8_t command, std::uint8_t version) {
  message_.reserve(usual_size);
  const nlmsghdr netlink{};
  const genlmsghdr generic{.cmd = command, .version = version, .reserved = 0};
  put(&netlink, sizeof netlink);
  put(&generic, sizeof generic);
}

void Request::put(const void* data, std::size_t size) {
  fits_ = fits_ && message_.size() + NLA_ALIGN(size) <= request_size;
  if (!fits_) return;
  const auto* octets = static_cast<const std::uint8_t*>(data);
  message_.insert(message_.end(), octets, octets + size);
  message_.resize(NLA_ALIGN(message_.size()));
}

Request& Request::be16(int type, std::uint16_t value) {
  return u16(type, htons(value));
}

Request& Request::string(int type, const std::string& value) {
  return bytes(type, value.c_str(), value.size() + 1);
}

Request& Request::bytes(int type, const void* data, std::size_t size) {
  fits_ = fits_ && size <= request_size;
  if (!fits_) return *this;
  const nlattr header{.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size),
                      .nla_type = static_cast<std::uint16_t>(type)};
  put(&header, sizeof header);
  put(data, size);
  return *this;
}

Request& Request::begin(int type) {
  nest_ = message_.size();
  return bytes(type | NLA_F_NESTED, nullptr, 0);
}

Request& Request::end() {
  if (!fits_) return *this;
  const auto length = static_cast<std::uint16_t>(message_.size() - nest_);
  std::memcpy(message_.data() + nest_ + offsetof(nlattr, nla_len), &length, sizeof length);
  return *this;
}

Result<Message> Request::finish() {
  if (!fits_) return fail(Errc::invalid, "a netlink request would be too long");
  const auto length = static_cast<std::uint32_t>(message_.size());
  std::memcpy(message_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  return std::move(message_);
}

Result<Attributes> Attributes::of(std::span<const std::uint8_t> payload) {
  // Not by libnl's walkers: five calls into a library for each attribute, and a list of 10,000
  // destinations has 250,000 of them.
  Attributes out;
  while (!payload.empty()) {
    nlattr header{};
    if (payload.size() < sizeof header)
      return fail(Errc::invalid, "a netlink attribute from the kernel is cut short");
    std::memcpy(&header, payload.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > payload.size())
      return fail(Errc::invalid, "a netlink attribute from the kernel is cut short");
    const std::size_t type = header.nla_type & NLA_TYPE_MASK;
    if (type < table_size)
      out.table_[type] = payload.subspan(sizeof header, header.nla_len - sizeof header);
    // The last one may lack its padding.
    payload = payload.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), payload.size()));
  }
  return out;
}

Result<Attributes> Attributes::of_message(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN)
    return fail(Errc::invalid, "a netlink message from the kernel is cut short");
  const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
  return of({start + NLMSG_HDRLEN + GENL_HDRLEN, start + message.nlmsg_len});
}

Result<Attributes> Attributes::nested(int type) const {
  if (!has(type))
    return fail(Errc::invalid,
                "a netlink message from the kernel lacks an attribute that every "
                "message of its kind has");
  return of(at(type));
}

std::optional<std::uint16_t> Attributes::be16(int type) const {
  const auto raw = u16(type);
  if (!raw) return std::nullopt;
  return ntohs(*raw);
}

std::string_view Attributes::string(int type) const {
  const auto raw = at(type);
  const std::string_view text(reinterpret_cast<const char*>(raw.data()), raw.size());
  return text.substr(0, text.find('\0'));
}

std::span<const std::uint8_t> Attributes::at(int type) const {
  const auto index = static_cast<std::size_t>(type);
  return index < table_size ? table_[index] : std::span<const std::uint8_t>{};
}

template <class T>
std::optional<T> Attributes::value(int type) const {
  const auto raw = at(type);
  if (raw.size() < sizeof(T)) return std::nullopt;
  T out;
  std::memcpy(&out, raw.data(), sizeof out);  // attributes are aligned to 4 octets only
  return out;
}
template std::optional<std::uint8_t> Attributes::value(int) const;
template std::optional<std::uint16_t> Attributes::value(int) const;
template std::optional<std::uint32_t> Attributes::value(int) const;
template std::optional<std::uint64_t> Attributes::value(int) const;

std::optional<std::uint8_t> command_of(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN) return std::nullopt;
  return reinterpret_cast<const std::uint8_t*>(&message)[NLMSG_HDRLEN];
}

Result<Verdict> decode_verdict(const nlmsghdr& message) {
  const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
  std::span<const std::uint8_t> payload(start + NLMSG_HDRLEN,
                                        message.nlmsg_len - std::size_t{NLMSG_HDRLEN});
  std::int32_t error = 0;
  std::size_t fixed = 0;
  if (message.nlmsg_type == NLMSG_ERROR) {
    if (payload.size() < sizeof(nlmsgerr))
      return fail(Errc::invalid, "a netlink answer from the kernel is cut short");
    nlmsgerr body;
    std::memcpy(&body, payload.data(), sizeof body);
    error = body.error;
    fixed = sizeof body;
    // Without NLM_F_CAPPED a refusal quotes the whole request.
    if (error != 0 && (message.nlmsg_flags & NLM_F_CAPPED) == 0) {
      const std::size_t quoted = body.msg.nlmsg_len;
      if (quoted < sizeof body.msg || quoted > payload.size())
        return fail(Errc::invalid, "a netlink answer from the kernel is cut short");
      fixed += NLMSG_ALIGN(quoted) - sizeof body.msg;
    }
  } else {
    // NLMSG_DONE: the return value of the dump, absent in very old kernels.
    if (payload.size() < sizeof error) return Verdict{};
    std::memcpy(&error, payload.data(), sizeof error);
    fixed = sizeof error;
  }
  Verdict out;
  out.sys = error < 0 && error > -4096 ? -error : error == 0 ? 0 : EPROTO;
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) != 0 && fixed <= payload.size()) {
    auto extended = Attributes::of(payload.subspan(fixed));
    if (!extended) return fail(std::move(extended.error()));
    out.words = extended->string(NLMSGERR_ATTR_MSG);
  }
  return out;
}

Result<> DumpProgress::take(const nlmsghdr& message,
                            const std::function<Result<>(const nlmsghdr&)>& object) {
  overtaken_ = overtaken_ || (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
  if (message.nlmsg_type >= NLMSG_MIN_TYPE) return object(message);
  if (message.nlmsg_type != NLMSG_DONE && message.nlmsg_type != NLMSG_ERROR) return {};
  complete_ = true;
  auto closing = decode_verdict(message);
  if (!closing) return fail(std::move(closing.error()));
  verdict_ = std::move(*closing);
  return {};
}

Result<> walk(std::span<const std::uint8_t> datagram,
              const std::function<Result<>(const nlmsghdr&)>& each) {
  auto* message = without_const<nlmsghdr>(datagram.data());
  int rest = static_cast<int>(datagram.size());
  while (rest > 0 && nlmsg_ok(message, rest)) {
    if (auto ok = each(*message); !ok) return ok;
    message = nlmsg_next(message, &rest);
  }
  if (rest > 0) return fail(Errc::invalid, "a netlink message from the kernel is cut short");
  return {};
}

}  // namespace lbctl::kernel::genl
