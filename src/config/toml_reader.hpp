// The only door to toml11, which reads the values; what is around them scan.hpp and tree.hpp read.
#pragma once

#include <optional>

#include "node.hpp"

namespace lbctl::config {

/// The top-level table, its places counted through all files; nothing, and an error in `report`, if
/// the text is not TOML.
std::optional<Node> read_toml(const File& file, Report& report);

}  // namespace lbctl::config
