// Reads back what is steered and attached in this network namespace. Changes nothing.
#pragma once

#include <optional>
#include <string>

#include "lbctl/model/xdp.hpp"
#include "tables.hpp"

namespace lbctl::kernel::xdp {

/// The tables pinned in `pin_dir`; nothing unless all of them are there.
Result<std::optional<Tables>> open_pinned_tables(const std::string& pin_dir);

Result<model::XdpState> observe_xdp(const std::string& pin_dir);

}  // namespace lbctl::kernel::xdp
