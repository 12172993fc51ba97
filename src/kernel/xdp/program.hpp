// The BPF object in this binary: loads it into the kernel and pins it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"
#include "maps.hpp"

namespace lbctl::kernel::xdp {

/// A loaded program and all of its maps.
struct Program {
  Fd fd;
  MapFds maps;
};

/// Loads the program on top of `existing` maps; those that are missing are made. `digest`, of at
/// most 16 characters, is what program_info() will tell of it.
Result<Program> load_program(const MapFds& existing, std::string_view digest);

/// Pins the maps that are not yet pinned, and the program in place of an older one. Makes the
/// folder.
Result<> pin_program(const Program& program, const std::string& pin_dir);
/// Removes these pins, an older lbctl's too, and the folder; no error where there are none.
Result<> unpin_program(const std::string& pin_dir);
/// Removes what an older lbctl has pinned, when no device runs its program any more.
Result<> unpin_strange(const std::string& pin_dir);

/// What the kernel tells of a loaded program.
struct ProgramInfo {
  std::string name;
  std::string digest;               ///< program_digest() of the lbctl that loaded it; else empty
  std::vector<std::uint32_t> maps;  ///< ids
};
Result<ProgramInfo> program_info(std::uint32_t id);

}  // namespace lbctl::kernel::xdp
