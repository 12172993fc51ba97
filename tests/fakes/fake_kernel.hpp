// A kernel in memory behind the backend interface: it holds a NodeState, refuses what the real
// one refuses, can fail at any operation, and counts the connections that an operation cuts off.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/kernel/backend.hpp"
#include "lbctl/model/leaving.hpp"

namespace lbctl::fakes {

class FakeKernel {
 public:
  model::NodeState state;
  std::size_t executed = 0;            ///< operations carried out so far
  std::optional<std::size_t> fail_at;  ///< the operation with this number fails, once

  model::IpvsCounters counters;                       ///< the connections that observe() hands out
  std::map<model::IpAddress, std::uint32_t> sockets;  ///< likewise, by local address
  /// Destinations that were removed, alone or with their service, while they had connections.
  std::vector<model::DestinationId> cut;
  /// Local addresses that were removed while sockets were bound to them.
  std::vector<model::IpAddress> cut_addresses;
  /// Told of every action before it happens: a test lets connections begin here.
  std::function<void(const model::Action&)> about_to;

  FakeKernel();
  /// One backend per subsystem; they point into this object.
  std::vector<kernel::Backend*> backends();

  /// Changes the state as the kernel would, with its errno for what it refuses.
  Result<> perform(const model::Action& action);

 private:
  void count_cuts(const model::Action& action);

  std::vector<std::unique_ptr<kernel::Backend>> backends_;
};

}  // namespace lbctl::fakes
