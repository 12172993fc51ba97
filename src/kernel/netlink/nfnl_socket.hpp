// A socket to nfnetlink, and what its answers mean. Used by nft; knows nothing of tables.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::kernel::netlink {

/// What an NLMSG_ERROR says: sys 0 is an acknowledgement.
struct Verdict {
  std::uint32_t seq = 0;  ///< of the message that it answers
  int sys = 0;            ///< errno, positive
  std::string words;      ///< NLMSGERR_ATTR_MSG, the extended ack; often empty
};

/// Reads an NLMSG_ERROR; a truncated one is EBADMSG.
Verdict parse_verdict(const nlmsghdr& message);

/// Calls `each` for every message of a datagram; false if they do not fill it. libmnl's own walk
/// takes a length of 2 GiB and more for a negative one and runs off.
bool walk(std::span<const std::uint8_t> datagram, const std::function<void(const nlmsghdr&)>& each);

class NfnlSocket {
 public:
  /// Unsupported without CONFIG_NETFILTER_NETLINK.
  static Result<NfnlSocket> open();

  using OnMessage = std::function<void(const nlmsghdr&)>;
  /// Sends one request (a get or a dump) and hands over each answer. A dump that a change
  /// interrupted ends in an error with sys() EINTR: what was handed over is then worthless.
  Result<> request(const nlmsghdr& request, const OnMessage& on_message);

  /// Sends one batch and returns the verdicts other than "done": none means that it is committed.
  /// Its last message must ask for an acknowledgement (NLM_F_ACK), which comes after the commit.
  /// The kernel works through the batch inside the send, so that all answers wait afterwards.
  Result<std::vector<Verdict>> transact(std::span<const std::uint8_t> batch);

  std::uint32_t next_seq() { return ++seq_; }
  /// The numbers before this one are taken, by the messages of a batch.
  void skip_to(std::uint32_t seq) { seq_ = seq; }

 private:
  using Socket = CHandle<mnl_socket, &mnl_socket_close>;
  explicit NfnlSocket(Socket socket) : socket_(std::move(socket)) {}
  void make_room(std::size_t octets);
  Result<std::span<const std::uint8_t>> receive(int flags);

  Socket socket_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t seq_ = 0;
};

}  // namespace lbctl::kernel::netlink
