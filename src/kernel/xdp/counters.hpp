// The program's counters, of all CPUs together.
#pragma once

#include <optional>
#include <set>
#include <span>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "maps.hpp"
#include "quic_steer.h"

namespace lbctl::kernel::xdp {

class Counters {
 public:
  static Result<Counters> open(const Fd& map);

  XdpCounters service(std::uint32_t counter) const;
  std::uint64_t server(std::uint32_t counter) const;
  /// Of services that were removed.
  XdpCounters gone() const;

  /// Begins a new service's, or server's, at zero.
  void clear_service(std::uint32_t counter);
  void clear_server(std::uint32_t counter);
  /// Keeps a removed service's in gone().
  void retire_service(std::uint32_t counter);

 private:
  explicit Counters(Mapping mapping) : mapping_(std::move(mapping)) {}
  std::span<qs_counters> cpus() const { return {&mapping_.as<qs_counters>(), possible_cpus()}; }
  Mapping mapping_;
};

/// The least number below `end` that is not in `used`.
std::optional<std::uint32_t> free_counter(const std::set<std::uint32_t>& used, std::uint32_t end);

}  // namespace lbctl::kernel::xdp
