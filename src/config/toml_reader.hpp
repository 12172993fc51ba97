// The only door to toml11.
#pragma once

#include <optional>

#include "node.hpp"

namespace lbctl::config {

/// The top-level table; nothing, and an error in `report`, if the text is not TOML.
std::optional<Node> read_toml(const Source& source, Report& report);

}  // namespace lbctl::config
