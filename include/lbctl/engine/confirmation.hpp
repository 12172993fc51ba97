// A change that waits to be confirmed: a socket in the state directory, on which the process that
// would revert it listens. It is gone with that process, however that ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "lbctl/base/handle.hpp"
#include "lbctl/engine/store.hpp"

namespace lbctl::engine {

/// The side that waits.
class Confirmation {
 public:
  using Clock = std::chrono::steady_clock;

  /// Only under the lock, and when nobody waits already: it takes the place.
  static Result<Confirmation> open(const Store& store);

  enum class Answer : std::uint8_t {
    confirmed,
    cancelled,  ///< there is nothing to revert
    late,       ///< nobody confirmed in time
  };
  /// Waits `time`, counted anew when `started` comes: the changes are made.
  Answer wait(std::chrono::seconds time);

 private:
  explicit Confirmation(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

/// The other side. Nothing if no change waits.
enum class Word : char { confirm = 'c', cancel = 'x', started = 's', ask = '?' };
/// Says the word to the process that waits; the seconds that it would have waited.
Result<std::optional<std::int64_t>> tell_confirmation(const Store& store, Word word);

}  // namespace lbctl::engine
