// From the command line to what this node should hold, and the kernel to hold it against.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/engine.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "options.hpp"

namespace lbctl::cli {

/// Reads the file, finds out which node this is, and resolves its state; peers' Ethernet
/// addresses that the kernel does not know yet are asked for. Says itself what goes wrong.
std::expected<config::Desired, Exit> desired(const Options& options, std::string_view command);

/// The real backends, in the order in which they are observed.
class RealKernel {
 public:
  static Result<RealKernel> open(const std::string& state_dir);
  std::vector<kernel::Backend*> backends() const;
  /// Nothing where no steering is set up.
  Result<std::optional<kernel::XdpCounters>> steering_counters() const;

 private:
  std::optional<kernel::XdpPlace> xdp_place_;
  std::vector<std::unique_ptr<kernel::Backend>> backends_;
};

}  // namespace lbctl::cli
