// Generic netlink on libnl-3: building and reading messages (pure), and a socket that sends many
// requests in one system call. For the kernel's families IPVS and mptcp_pm.
#pragma once

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::kernel::genl {

/// A finished request, with the netlink header at its start, in which the socket fills in family,
/// flags and sequence number as it sends.
using Message = std::vector<std::uint8_t>;

/// Builds one request. Attributes that do not fit are remembered and reported by finish(), so
/// that encoders read as a plain list. Not by libnl, which makes several calls and a cleared
/// allocation of each attribute's place: loading 10,000 destinations takes 110,000 attributes.
class Request {
 public:
  Request(std::uint8_t command, std::uint8_t version);
  Request& u8(int type, std::uint8_t value) { return bytes(type, &value, sizeof value); }
  Request& u16(int type, std::uint16_t value) { return bytes(type, &value, sizeof value); }
  Request& be16(int type, std::uint16_t value);  ///< `value` in host order, sent in network order
  Request& u32(int type, std::uint32_t value) { return bytes(type, &value, sizeof value); }
  Request& string(int type, const std::string& value);  ///< with its ending zero
  Request& bytes(int type, const void* data, std::size_t size);
  Request& begin(int type);  ///< opens a nest; one level is all that these families need
  Request& end();
  Result<Message> finish();  ///< once, at the end

 private:
  void put(const void* data, std::size_t size);  ///< and its padding
  Message message_;
  std::size_t nest_ = 0;  ///< where the open nest's header stands
  bool fits_ = true;
};

/// The attributes of one level, by type. Types from `table_size` on are skipped: newer kernels
/// add attributes, and a reader must not stumble over them.
class Attributes {
 public:
  static constexpr std::size_t table_size = 32;
  /// Errc::invalid if the attributes do not fill `payload` exactly.
  static Result<Attributes> of(std::span<const std::uint8_t> payload);
  /// What follows the generic netlink header of a message.
  static Result<Attributes> of_message(const nlmsghdr& message);
  Result<Attributes> nested(int type) const;  ///< Errc::invalid if it is not there

  bool has(int type) const { return at(type).data() != nullptr; }
  /// Nothing if the attribute is missing or too short.
  std::optional<std::uint8_t> u8(int type) const { return value<std::uint8_t>(type); }
  std::optional<std::uint16_t> u16(int type) const { return value<std::uint16_t>(type); }
  std::optional<std::uint16_t> be16(int type) const;  ///< in host order
  std::optional<std::uint32_t> u32(int type) const { return value<std::uint32_t>(type); }
  std::optional<std::uint64_t> u64(int type) const { return value<std::uint64_t>(type); }
  std::span<const std::uint8_t> bytes(int type) const { return at(type); }
  std::string_view string(int type) const;  ///< up to the first zero; empty if missing

 private:
  std::span<const std::uint8_t> at(int type) const;
  template <class T>
  std::optional<T> value(int type) const;
  std::array<std::span<const std::uint8_t>, table_size> table_{};
};

/// The first octet after the generic netlink header's start; nothing if the message is too short.
std::optional<std::uint8_t> command_of(const nlmsghdr& message);

/// The closing word on one request: NLMSG_ERROR (error 0: done) or NLMSG_DONE after a dump.
struct Verdict {
  int sys = 0;        ///< errno, positive; 0: success
  std::string words;  ///< NLMSGERR_ATTR_MSG (extended ack); empty if the kernel said nothing
};
/// libnl 3.7 does not hand out the extended ack, hence our own reading of it.
Result<Verdict> decode_verdict(const nlmsghdr& message);

/// Calls `each` for every message of a datagram; stops at the first error. Errc::invalid if the
/// messages do not fill the datagram.
Result<> walk(std::span<const std::uint8_t> datagram,
              const std::function<Result<>(const nlmsghdr&)>& each);

/// A request of a batch that the kernel refused.
struct Failure {
  std::size_t index = 0;  ///< in the batch
  Verdict verdict;
  friend bool operator<(const Failure& a, const Failure& b) { return a.index < b.index; }
};

/// Who reads a dump. `start` is called first, and again when the kernel says that the dump was
/// overtaken by a change (NLM_F_DUMP_INTR, ENOBUFS) and everything comes anew: forget what came.
struct DumpReader {
  std::function<void()> start;
  std::function<Result<>(const nlmsghdr&)> message;
};

/// How far the answer to one dump has come. Pure.
class DumpProgress {
 public:
  /// Hands listed objects to `object` and keeps track of everything else.
  Result<> take(const nlmsghdr& message, const std::function<Result<>(const nlmsghdr&)>& object);
  bool complete() const { return complete_; }
  /// The list changed while it was read: all of it must be read anew.
  bool overtaken() const { return overtaken_ || verdict_.sys == EINTR; }
  const Verdict& verdict() const { return verdict_; }

 private:
  bool complete_ = false, overtaken_ = false;
  Verdict verdict_;
};

/// One socket in the network namespace of the thread that opens it. Generic netlink answers
/// before sendmsg(2) returns, so nothing here waits: an answer that is not there never comes.
class Socket {
 public:
  /// Requests per system call. Only the last asks for an ack and refusals are answered anyway, so
  /// a batch has at most this many answers; they fit in the smallest receive buffer.
  static constexpr std::size_t batch_max = 128;

  static Result<Socket> open();
  /// For socket options; reading and writing are this class's own.
  int fd() const;

  /// The number of a family; asking makes the kernel load the module that has it, where there is
  /// one. sys() is ENOENT if the kernel has no such family.
  Result<std::uint16_t> family(const std::string& name);

  /// Sends at most batch_max requests at once. The kernel carries out all of them, in order, also
  /// those after a refused one. Returns the refused ones, by index. An Error means that the
  /// outcome is not known.
  Result<std::vector<Failure>> transact(std::uint16_t family, std::span<const Message> batch);

  /// One request that is answered by messages: a list of objects, or (`single`) one of them.
  Result<> dump(std::uint16_t family, const Message& request, const DumpReader& reader);
  Result<> single(std::uint16_t family, const Message& request,
                  const std::function<Result<>(const nlmsghdr&)>& message);

 private:
  using Handle = CHandle<nl_sock, &nl_socket_free>;
  explicit Socket(Handle handle);
  Result<> send(std::uint16_t family, std::span<const Message> batch, std::uint16_t flags,
                std::uint16_t last_flags);
  /// Takes what lies in the receive buffer; `each` gets messages that answer requests since
  /// `first`. Returns the number of datagrams, 0 if there were none.
  Result<std::size_t> receive(std::uint32_t first,
                              const std::function<Result<>(const nlmsghdr&)>& each);
  void drain();
  Result<bool> dump_once(std::uint16_t family, const Message& request, const DumpReader& reader);

  Handle handle_;
  std::uint32_t sequence_ = 0;  ///< of the last request sent
  std::vector<std::uint8_t> outgoing_;
  std::vector<std::uint8_t> buffers_;
};

}  // namespace lbctl::kernel::genl
