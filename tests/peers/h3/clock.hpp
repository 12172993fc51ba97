#pragma once

#include <ngtcp2/ngtcp2.h>
#include <time.h>

namespace peer {

/// A round trip on the slowest machine that tests run on.
constexpr ngtcp2_duration slow_path = 3 * NGTCP2_SECONDS;

/// The time as ngtcp2 wants it: CLOCK_MONOTONIC in nanoseconds.
inline ngtcp2_tstamp now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<ngtcp2_tstamp>(time.tv_sec) * NGTCP2_SECONDS +
         static_cast<ngtcp2_tstamp>(time.tv_nsec);
}

}  // namespace peer
