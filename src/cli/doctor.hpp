// What `lbctl doctor` looks at, and how it says what it found.
#pragma once

#include "lbctl/doctor/doctor.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

/// Reads the node and judges it. `hash`: of the file. An error only where nothing at all can be
/// said.
Result<doctor::Report> examine_here(const Options& options, const Wanted& wanted,
                                    const model::NodeFacts& facts, const std::string& hash);

/// The mend as lines for a root shell.
std::vector<std::string> commands_of(const doctor::Finding& finding);

/// What became of a finding's safe mend; nothing: it was not tried.
using Mended = std::map<const doctor::Finding*, std::optional<Error>>;

std::string doctor_text(const std::string& who, const doctor::Report& report);
/// `result`, `findings`, `checklist`.
Json doctor_json(const doctor::Report& report, const Mended& mended);

}  // namespace lbctl::cli
