// The BPF object in this binary: loads it into the kernel and pins it.
#pragma once

#include <cstdint>
#include <optional>
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

/// Loads the program on top of `existing` maps; those that are missing are made.
Result<Program> load_program(const MapFds& existing);

/// Pins the maps that are not yet pinned, and the program under its digest. Makes the folder.
Result<> pin_program(const Program& program, std::string_view digest, const std::string& pin_dir);
/// Removes these pins, an older lbctl's too, and the folder; no error where there are none.
Result<> unpin_program(const std::string& pin_dir);
/// Removes what an lbctl of another digest has pinned, when no device runs its program any more.
Result<> unpin_strange(std::string_view digest, const std::string& pin_dir);

struct PinnedProgram {
  Fd fd;
  std::string digest;               ///< program_digest() of the lbctl that pinned it
  std::vector<std::uint32_t> maps;  ///< ids
};
/// The pinned program that the kernel knows by `id`; nothing if none is.
Result<std::optional<PinnedProgram>> find_program(std::uint32_t id, const std::string& pin_dir);

/// Of any program; nothing if it has none or the kernel does not tell (it asks for CAP_SYS_ADMIN).
std::optional<std::string> program_name(std::uint32_t id);

}  // namespace lbctl::kernel::xdp
