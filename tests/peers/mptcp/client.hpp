#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "common/address.hpp"

namespace peer {

struct ConnectOptions {
  SocketAddress target;
  std::optional<SocketAddress> bind;
  std::uint64_t count = 1;            // connections, all open at the same time
  std::chrono::milliseconds hold{0};  // from the first answers to the second exchange, at least
  std::uint64_t payload = 64;         // octets of the second line of each connection
  std::uint64_t want_subflows = 1;    // established ones, before the second exchange
  std::chrono::milliseconds timeout{5000};  // without any progress, in each step
  std::uint64_t download = 0;               // octets asked for by "SEND N"; 0: none
  bool plain_tcp = false;
  /// A line on each connection every so often, until `hold` is over (0: never) or SIGTERM comes.
  std::optional<std::chrono::milliseconds> every;
};

/// Opens the connections, exchanges a line on each, waits for the subflows, holds, exchanges again,
/// downloads, and prints one JSON object for each connection. With `every` it exchanges lines all
/// the time instead of holding, and prints "connected" and "round" events meanwhile. True when all
/// data came back right and each connection was answered by one server throughout.
std::expected<bool, std::string> connect_and_talk(const ConnectOptions& options);

}  // namespace peer
