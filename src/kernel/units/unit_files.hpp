// What the other files of a unit say of LD_PRELOAD, so that lbctl's drop-in can repeat it:
// Environment= of a later file replaces the variable whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lbctl::kernel::units {

/// What the [Service] sections of some files, read one after the other, come to.
struct Environment {
  std::optional<std::string> preload;  ///< specifiers as they stand
  std::vector<std::string> files;      ///< of EnvironmentFile=, without the "-"
};
/// One file more. Pure.
void read_unit_text(std::string_view text, Environment& out);

/// The words of a line by systemd.syntax(7): quotes, and a backslash before any character. Pure.
std::vector<std::string> unit_words(std::string_view line);

/// The files of a unit in the order in which systemd reads them: the first of its name, then its
/// drop-ins by their names; `left_out` is no drop-in's name. Empty: there is no such unit.
std::vector<std::string> unit_files(const std::string& root, const std::string& unit,
                                    std::string_view left_out);

/// What those say.
Environment environment_of(const std::string& root, const std::string& unit,
                           std::string_view left_out);

/// The file of `environment` that sets LD_PRELOAD, which counts for more than any Environment=.
std::optional<std::string> file_with_preload(const std::string& root,
                                             const Environment& environment);

}  // namespace lbctl::kernel::units
