// Network namespaces for tests, without names: they vanish with the last descriptor. And a way to
// run the tools that we compare with.
#pragma once

#include <string>

#include "lbctl/base/handle.hpp"

namespace lbctl::tests {

class Namespace {
 public:
  Namespace();  ///< new and empty, lo up
  void enter() const;
  /// For `ip link set DEVICE netns …`.
  std::string path() const;

 private:
  Fd fd_;
};

/// In a namespace until the end of the block.
class Inside {
 public:
  explicit Inside(const Namespace& there);
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();

 private:
  Fd back_;
};

/// Runs a shell command in the current namespace; its output, both streams. Throws if it fails.
std::string run(const std::string& command);
/// The same, but a failure is part of the output.
std::string try_run(const std::string& command);

}  // namespace lbctl::tests
