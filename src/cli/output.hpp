// How every command speaks: results on standard output, complaints on standard error, or with -j
// one JSON document on standard output.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "options.hpp"

namespace lbctl::cli {

using Json = nlohmann::ordered_json;

/// {"schema_version": 1, "command": …}
Json document(std::string_view command);
void print(const Json& json);

Json to_json(const Error& error);
Json to_json(const config::Diagnostic& diagnostic);

/// "lbctl: error: …" and "lbctl: hint: …" on standard error.
void complain(const Error& error);
void warn(std::string_view text);

/// "dir1 (director)"
std::string title(const config::Desired& desired);
/// "1 change", "12 changes"
std::string count(std::size_t n, std::string_view what);

/// The end of a command that failed before it did anything.
Exit give_up(const Options& options, std::string_view command, const Error& error);

}  // namespace lbctl::cli
