// The only door to toml11.
#pragma once

#include <optional>

#include "node.hpp"

namespace lbctl::config {

/// toml11 takes about 6,000 instructions for each octet of the whole text.
enum class Way : std::uint8_t {
  fast,   ///< plain files by build_tree(), everything else as a whole
  whole,  ///< toml11 reads all of it; tests hold the fast way against this
};

/// The top-level table, its places counted through all files; nothing, and an error in `report`, if
/// the text is not TOML.
std::optional<Node> read_toml(const File& file, Report& report, Way way = Way::fast);

}  // namespace lbctl::config
