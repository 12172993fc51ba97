// What `lbctl status` says of a preview. Pure, so that its text can be tested.
#pragma once

#include <optional>
#include <string>

#include "lbctl/engine/drain_list.hpp"
#include "lbctl/engine/engine.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "output.hpp"

namespace lbctl::cli {

/// Sections with what there is: services, signal addresses, addresses, endpoints, steering, what
/// drains, what is on its way out, differs from the file, is foreign. Empty sections are left out.
/// `steering`: packets by what became of them; nothing where no steering is set up.
std::string status_text(const engine::Preview& preview,
                        const std::optional<kernel::XdpFigures>& steering,
                        const engine::DrainList& drains);
Json status_json(const engine::Preview& preview, const std::optional<kernel::XdpFigures>& steering,
                 const engine::DrainList& drains);

}  // namespace lbctl::cli
