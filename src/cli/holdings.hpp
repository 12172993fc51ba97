// What a node would hold by the file alone, for `check`.
#pragma once

#include <string>
#include <vector>

#include "output.hpp"

namespace lbctl::cli {

struct HeldAddress {
  std::string address;
  std::vector<std::string> devices;
};

/// One node of the file, resolved with nothing known of its machine.
struct Holding {
  config::Desired desired;
  std::vector<std::string> services;  ///< that it takes part in
  std::vector<HeldAddress> vips, signal;
};

/// Every node, directors first.
std::vector<Holding> holdings(const config::Config& config);

/// A heading and some indented lines, long lists cut.
std::string render(const Holding& holding);
/// All of it, and every kernel object as `plan` names it.
Json to_json(const Holding& holding);

}  // namespace lbctl::cli
