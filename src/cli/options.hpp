// What the command line says. Filled by main, read by the commands.
#pragma once

#include <optional>
#include <string>

#include "lbctl/engine/state_dir.hpp"

namespace lbctl::cli {

/// lbctl(8), EXIT STATUS.
enum class Exit : int { done = 0, failed = 1, pending = 2, bad_file = 3, usage = 64 };

struct Options {
  std::string file = "/etc/lbctl/lbctl.toml";
  std::optional<std::string> node;
  std::string state_dir = engine::default_state_root;
  bool json = false;
  bool dry_run = false;            ///< apply -n
  bool detailed_exitcode = false;  ///< plan
  bool commands = false;           ///< plan
};

Exit check(const Options& options);
Exit plan(const Options& options);
Exit apply(const Options& options);
Exit status(const Options& options);
Exit down(const Options& options);

}  // namespace lbctl::cli
