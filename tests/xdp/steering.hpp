// The XDP program, loaded without pins, and one packet at a time through it (BPF_PROG_TEST_RUN).
#pragma once

#include <string>

#include "lbctl/kernel/xdp.hpp"
#include "packet.hpp"
#include "program.hpp"
#include "tables.hpp"

namespace lbctl::tests {

struct Answer {
  std::string verdict;          ///< "PASS", "TX", "DROP"
  Bytes bytes;                  ///< the packet as the program left it
  kernel::XdpCounters counted;  ///< what the counters grew by
};

class Steering {
 public:
  Steering();
  Answer run(const Bytes& packet);
  kernel::xdp::Tables& tables() { return *tables_; }

 private:
  Fd program_;
  std::optional<kernel::xdp::Tables> tables_;
};

}  // namespace lbctl::tests
