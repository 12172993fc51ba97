// `apply --confirm 60s`: what was changed goes back by itself unless `lbctl confirm` comes in time.
#pragma once

#include "session.hpp"

namespace lbctl::cli {

/// Applies; a process of its own, out of reach of the terminal and the login session, waits for
/// the confirmation from before the first change on, and brings the node back otherwise.
Result<engine::Report> apply_unless_reverted(const Options& options, Session& session,
                                             const engine::Goal& goal);

}  // namespace lbctl::cli
