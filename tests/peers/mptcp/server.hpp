#pragma once

#include <expected>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/json.hpp"

namespace peer {

struct ServeOptions {
  std::vector<SocketAddress> listen;
  std::string name;
  bool plain_tcp = false;  // a TCP listener: every client falls back
};

/// Answers each LINE with "NAME LINE" until SIGTERM or SIGINT. Two lines are commands:
///   SUBFLOWS  is answered with the report of this connection as JSON, which is also logged;
///   SEND N    is answered with "NAME SEND N", a newline, and N octets of the pattern.
/// Logs "listening", then "open" and "close" of each connection; "close" carries the report with
/// the most established subflows that was seen.
std::expected<void, std::string> serve(const ServeOptions& options, const EventLog& log);

}  // namespace peer
