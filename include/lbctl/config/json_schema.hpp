// The language for editors and other tools.
#pragma once

#include <string>

namespace lbctl::config {

/// A JSON Schema (draft 2020-12) of the file, indented, without a newline at its end. What it can't
/// say in JSON Schema's words stands in "x-lbctl": shape, range of a duration, what leaving a key
/// out means, the first Linux that has it. A file that it refuses is wrong; one that it takes may
/// still break a rule between values.
std::string json_schema();

}  // namespace lbctl::config
