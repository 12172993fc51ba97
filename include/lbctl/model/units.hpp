// systemd services that are made to listen with MPTCP although they ask for TCP.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace lbctl::model {

enum class MptcpWay : std::uint8_t {
  preload,  ///< libmptcpwrap in LD_PRELOAD changes the program's calls of socket(3)
  bpf,      ///< a BPF program at update_socket_protocol (Linux 6.6) changes those of its cgroup
};
std::string_view name(MptcpWay way);

/// Who wants it: that decides who may take it back.
enum class AskedBy : std::uint8_t {
  file,  ///< servers.*.mptcpize: `apply`, when it is there no more
  hand,  ///< `lbctl mptcpize UNIT`: `--undo`, or `down`
};

struct MptcpizedUnit {
  MptcpWay way = MptcpWay::preload;
  AskedBy asked_by = AskedBy::file;
  /// Its drop-in says what this lbctl would write now; wanted ones are always so.
  bool intact = true;
  std::string text() const;  ///< "preload", "bpf, by hand"
  friend bool operator==(const MptcpizedUnit&, const MptcpizedUnit&) = default;
};

/// The machine's, not the network namespace's.
struct UnitState {
  std::map<std::string, MptcpizedUnit> mptcpized;  ///< by the unit's name
  /// Read back only: units at whose drop-in's place stands somebody else's file.
  std::set<std::string> foreign;
  friend bool operator==(const UnitState&, const UnitState&) = default;
};

/// What is wrong with the name of a service to be mptcpized; empty: nothing. A name is also that of
/// a folder, so it must not lead anywhere else.
std::string_view unit_name_trouble(std::string_view unit);

}  // namespace lbctl::model
