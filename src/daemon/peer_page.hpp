// What another node's metrics tell of what it runs by. It may be anybody who answers there.
#pragma once

#include <optional>
#include <string_view>

#include "lbctl/model/diagnosis.hpp"

namespace lbctl::daemon {

/// The beginning of a page as metrics_of() makes it; octets of any kind. Nothing if it does not
/// tell by which file that node runs.
std::optional<model::Peer> read_peer_page(std::string_view page);

}  // namespace lbctl::daemon
