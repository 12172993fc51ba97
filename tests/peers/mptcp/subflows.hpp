#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/json.hpp"

namespace peer {

/// One TCP connection below an MPTCP connection (or the only one of a plain TCP connection).
struct Subflow {
  std::string local;
  std::string remote;
  std::string state;  // lower case, as in netinet/tcp.h: "established", "syn_sent", …
};

/// What the kernel says of one accepted or connected socket at one moment.
struct SocketReport {
  bool fallback = true;     // plain TCP: the peer, the path or the listener does not do MPTCP
  std::uint32_t token = 0;  // the local token; 0 for plain TCP
  /// Every subflow that the kernel lists. It lists those in SYN_SENT too, which carry nothing yet.
  std::vector<Subflow> subflows;

  std::size_t established() const;
  /// Appends fallback, token, established and subflows.
  void add_to(JsonObject& object) const;
};

/// Asks the kernel; needs Linux 5.16. Never fails: what a dying socket no longer tells is left out.
SocketReport inspect(int socket);

}  // namespace peer
