// What the command line says. Filled by main, read by the commands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lbctl/engine/drain_list.hpp"
#include "lbctl/engine/state_dir.hpp"

namespace lbctl::cli {

/// lbctl(8), EXIT STATUS.
enum class Exit : int { done = 0, failed = 1, pending = 2, bad_file = 3, usage = 64 };

struct Options {
  std::string file = "/etc/lbctl/lbctl.toml";
  std::optional<std::string> node;
  std::string state_dir = engine::default_state_root;
  std::string persist_dir = engine::default_persist_dir;
  bool json = false;
  std::optional<std::string> warnings;    ///< "error"
  std::optional<std::string> check_file;  ///< check: instead of `file`
  bool schema = false;                    ///< check
  bool dry_run = false;                   ///< apply, drain, undrain
  bool detailed_exitcode = false;         ///< plan
  bool commands = false;                  ///< plan
  bool adopt = false;                     ///< apply, plan
  bool no_drain = false;                  ///< apply, plan
  std::optional<std::uint32_t> confirm;   ///< apply: seconds
  std::string server;                     ///< drain, undrain
  std::optional<std::string> service;     ///< drain, undrain, cid, explain
  std::optional<std::uint32_t> deadline;  ///< drain: seconds
  std::uint32_t until = 0;                ///< drain: connections
  bool wait = false;                      ///< drain
  bool persist = false;                   ///< drain: across a reboot
  std::string action;                     ///< cid: encode, decode, presets; daemon: run, status, …
  std::vector<std::string> units;         ///< mptcpize
  std::optional<std::string> way;         ///< mptcpize: "preload", "bpf"
  bool undo = false;                      ///< mptcpize
  bool restart = false;                   ///< mptcpize
  std::string enter;                      ///< mptcpize: the unit that starts
  std::string cid;                        ///< cid, explain: hexadecimal; encode: what to begin with
  std::vector<std::string> flows;         ///< explain
  bool fix = false;                       ///< doctor
  bool live = false;                      ///< explain
  std::uint32_t one_in = 1;               ///< explain --live: of so many packets one is told
  std::optional<std::uint64_t> count;     ///< explain --live: ends after so many lines
  std::string id;                         ///< cid encode: a server's id, name or address
  std::optional<std::string> layout;      ///< cid: as in the file

  bool warnings_are_errors() const { return warnings == "error"; }
};

Exit check(const Options& options);
Exit plan(const Options& options);
Exit apply(const Options& options);
Exit confirm(const Options& options);
Exit drain(const Options& options);
Exit undrain(const Options& options);
Exit status(const Options& options);
Exit down(const Options& options);
Exit cid(const Options& options);
Exit explain(const Options& options);
Exit mptcpize(const Options& options);
Exit daemon(const Options& options);
Exit doctor(const Options& options);

}  // namespace lbctl::cli
