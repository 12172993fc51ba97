// Services that are made to listen with MPTCP: a drop-in of systemd's for each, and the BPF program
// behind those of one way.
#pragma once

#include <memory>
#include <string>

#include "lbctl/kernel/backend.hpp"
#include "lbctl/model/facts.hpp"

namespace lbctl::kernel {

struct UnitPlace {
  std::string root;     ///< before every path of the file system: "" or, for tests, a folder
  std::string pin_dir;  ///< of the program, in a BPF file system; the machine has one. Empty: none
  std::string program;  ///< this lbctl, as units start it
  /// The caller restarts units that run: no note says that it is left to do.
  bool restarts = false;
};

/// The machine's. `bpffs` as find_bpffs() gives it, or empty.
Result<UnitPlace> unit_place(const std::string& bpffs);

/// The drop-ins are UNIT.d/zz-lbctl-mptcpize.conf in /etc/systemd/system: late in the alphabet, so
/// that no other drop-in takes LD_PRELOAD back. Their first line is lbctl's mark; a file there
/// without it is foreign and not touched.
///
/// execute() replaces files atomically and lets systemd read its units again, where it runs. Notes
/// say which units run on with the sockets that they have. Errors: not_found (libmptcpwrap),
/// unsupported (the hook), conflict (a foreign file; an EnvironmentFile= that sets LD_PRELOAD).
std::unique_ptr<Backend> open_units(UnitPlace place);

/// Of the drop-ins and libraries; not socket_hook.
Result<model::UnitFacts> read_unit_facts(const UnitPlace& place);
/// Whether this kernel lets BPF change the protocol of a socket, and lbctl load a program that
/// does: Linux 6.6 with CONFIG_MPTCP, CONFIG_BPF_JIT and CONFIG_DEBUG_INFO_BTF, and no lockdown.
bool has_socket_hook();
Result<> check_socket_hook();  ///< why not

/// Whether some folder of systemd's has the unit, or its template.
bool unit_exists(const UnitPlace& place, const std::string& unit);

/// At the start of a unit, and in its cgroup: its TCP sockets are MPTCP sockets from now on. Loads
/// the program if it is not there. Errors: unsupported (no cgroup2 or BPF file system, no hook).
Result<> enter_unit(const UnitPlace& place, const std::string& unit);

}  // namespace lbctl::kernel
