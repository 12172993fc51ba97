// From TOML text to a Config, or to every error of the file at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/config/config.hpp"

namespace lbctl::config {

/// One remark on the file, as a compiler would make it.
struct Diagnostic {
  enum class Severity : std::uint8_t { error, warning };
  Severity severity = Severity::error;
  std::string file;
  int line = 1;    ///< from 1; 0: the file as a whole (it can't be read)
  int column = 1;  ///< from 1, in octets
  int width = 1;   ///< octets that the marker covers; never beyond the line
  std::string message;
  std::string hint;         ///< empty if there is none
  std::string source_line;  ///< as it stands in the file; empty if no line is to be shown
};

/// Several lines, each ended by a newline, safe for a terminal whatever the file holds:
///   FILE:LINE:COL: error: MESSAGE
///     source line
///     ^~~~
///   hint: …
std::string render(const Diagnostic& diagnostic);

struct Loaded {
  std::optional<Config> config;         ///< there exactly if no diagnostic is an error
  std::vector<Diagnostic> diagnostics;  ///< in the order of the file
  /// Of all texts in their order, 16 hexadecimal digits (FNV-1a): equal files have equal ones.
  std::string hash;
  bool ok() const { return config.has_value(); }
};

/// The most that is read, fragments included, in octets: a thousand services with ten servers each
/// take a tenth.
inline constexpr std::size_t max_file_size = 4u << 20;

struct NamedText {
  std::string name;  ///< for the diagnostics
  std::string_view text;
};

/// One file that consists of several, in the order in which they count. At least one.
Loaded read_texts(std::span<const NamedText> files);
Loaded read_text(std::string_view text, std::string file_name);

/// Reads the file, and the fragments conf.d/*.toml in its folder; "-" is standard input, alone.
/// What can't be read is a diagnostic, too.
Loaded read_file(const std::string& path);

/// For those who want no doubtful file: every warning is an error.
void refuse_warnings(Loaded& loaded);

/// Every key of the language as a pattern, such as "servers.*.address" or
/// "services.*.quic.cid.config", sorted. The man page is held against it.
std::vector<std::string> known_keys();

}  // namespace lbctl::config
