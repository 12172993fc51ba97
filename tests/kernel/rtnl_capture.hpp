// Frames on a device, by AF_PACKET: what the peer of a veth really gets, and raw frames to send.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/base/handle.hpp"

namespace lbctl::tests {

using Frame = std::vector<std::uint8_t>;

class Capture {
 public:
  /// Hears everything on `device` of the current namespace from now on, incoming only.
  explicit Capture(const std::string& device);
  /// The first frame that `wanted` accepts, waiting for it; nothing after a generous limit, which
  /// only a failing test reaches.
  std::optional<Frame> next(const std::function<bool(const Frame&)>& wanted,
                            std::chrono::milliseconds limit = std::chrono::seconds(5));
  void send(const Frame& frame);

 private:
  Fd fd_;
};

/// "02:00:00:00:00:01" or hexadecimal digits with any blanks and colons between them.
Frame hex(const std::string& text);

}  // namespace lbctl::tests
