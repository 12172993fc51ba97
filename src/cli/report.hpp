// How the commands that change something tell what they did.
#pragma once

#include "lbctl/engine/engine.hpp"
#include "output.hpp"

namespace lbctl::cli {

/// Adds result, done, left, error, … to the document and prints it.
void print_report(Json json, const engine::Report& report, std::span<const std::string> warnings);

/// `who` begins the lines; `nothing` says that there was nothing to do.
void print_report(const std::string& who, std::string_view nothing, const engine::Report& report);

/// "on its way out:" and its lines; nothing if there is nothing.
void print_leaving(const model::Leaving& stays, const model::Observed& figures);

}  // namespace lbctl::cli
