#include "unit_files.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

namespace lbctl::kernel::units {

namespace {

constexpr std::string_view variable = "LD_PRELOAD=";
constexpr std::string_view blanks = " \t\r";

// systemd.unit(5), "System Unit Search Path", in its order; /lib where /usr is not merged.
constexpr std::array folders = {
    "/etc/systemd/system.control",   "/run/systemd/system.control",  "/run/systemd/transient",
    "/run/systemd/generator.early",  "/etc/systemd/system",          "/etc/systemd/system.attached",
    "/run/systemd/system",           "/run/systemd/system.attached", "/run/systemd/generator",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",      "/lib/systemd/system",
    "/run/systemd/generator.late"};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::optional<std::string> read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

/// Lines with what a backslash at their end joins to them; comments between do not end them.
std::vector<std::string> joined_lines(std::string_view text) {
  std::vector<std::string> out;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view part = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (part.starts_with('#') || part.starts_with(';')) continue;
    const bool goes_on = part.ends_with('\\');
    if (goes_on) part.remove_suffix(1);
    line += part;
    if (goes_on) {
      line += ' ';
    } else {
      out.push_back(std::exchange(line, {}));
    }
  }
  if (!line.empty()) out.push_back(std::move(line));
  return out;
}

void assign(std::string_view key, std::string_view value, Environment& out) {
  if (key == "Environment") {
    if (value.empty()) out.preload.reset();  // an empty one takes all before it back
    for (const std::string& word : unit_words(value))
      if (word.starts_with(variable)) out.preload = word.substr(variable.size());
  } else if (key == "EnvironmentFile") {
    if (value.empty()) out.files.clear();
    for (std::string& word : unit_words(value))
      out.files.push_back(word.starts_with('-') ? word.substr(1) : std::move(word));
  }
}

/// Every name by which drop-ins of the unit may be filed: "app-@.service.d" and "app-.service.d"
/// count for app-x@1.service, and "service.d" for all.
std::vector<std::string> drop_in_folders(const std::string& unit) {
  constexpr std::string_view suffix = ".service";
  std::vector<std::string> out{unit + ".d"};
  std::string stem = unit.substr(0, unit.size() - suffix.size());
  std::string ending(suffix);
  if (const std::size_t at = stem.find('@'); at != std::string::npos) {
    stem.resize(at);
    ending = "@.service";
    out.push_back(stem + ending + ".d");
  }
  for (std::size_t dash = stem.find_last_of('-'); dash != std::string::npos && dash != 0;
       dash = stem.find_last_of('-', dash - 1))
    out.push_back(stem.substr(0, dash + 1) + ending + ".d");
  out.emplace_back("service.d");
  return out;
}

std::optional<std::string> fragment(const std::string& root, const std::string& unit) {
  std::vector<std::string> names{unit};
  if (const std::size_t at = unit.find('@'); at != std::string::npos)
    names.push_back(unit.substr(0, at) + "@.service");
  for (const std::string& name : names)
    for (const char* folder : folders) {
      std::string path = fmt::format("{}{}/{}", root, folder, name);
      std::error_code error;
      if (std::filesystem::exists(path, error)) return path;
    }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> unit_words(std::string_view line) {
  std::vector<std::string> out;
  std::optional<std::string> word;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && blanks.contains(c)) {
      if (word) out.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word) word.emplace();
    if (c == '\\' && i + 1 < line.size()) {
      *word += line[++i];
    } else if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else {
      *word += c;
    }
  }
  if (word) out.push_back(std::move(*word));
  return out;
}

void read_unit_text(std::string_view text, Environment& out) {
  bool in_service = false;
  for (const std::string& line : joined_lines(text)) {
    if (line.starts_with('[')) {
      in_service = line == "[Service]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!in_service || equals == std::string::npos) continue;
    const std::string_view whole = line;
    assign(trimmed(whole.substr(0, equals)), trimmed(whole.substr(equals + 1)), out);
  }
}

std::vector<std::string> unit_files(const std::string& root, const std::string& unit,
                                    std::string_view left_out) {
  const auto first = fragment(root, unit);
  if (!first) return {};
  std::vector<std::string> out{*first};
  // A drop-in hides those of its name in folders behind it.
  std::map<std::string, std::string> drop_ins;
  for (const std::string& name : drop_in_folders(unit))
    for (const char* folder : folders) {
      std::error_code error;
      for (std::filesystem::directory_iterator
               it(fmt::format("{}{}/{}", root, folder, name), error),
           end;
           !error && it != end; it.increment(error)) {
        const std::string file = it->path().filename().string();
        if (file.ends_with(".conf") && file != left_out)
          drop_ins.emplace(file, it->path().string());
      }
    }
  for (const auto& [name, path] : drop_ins)
    out.push_back(path);
  return out;
}

Environment environment_of(const std::string& root, const std::string& unit,
                           std::string_view left_out) {
  Environment out;
  for (const std::string& path : unit_files(root, unit, left_out))
    if (const auto text = read(path)) read_unit_text(*text, out);
  return out;
}

std::optional<std::string> file_with_preload(const std::string& root,
                                             const Environment& environment) {
  std::optional<std::string> out;
  for (const std::string& pattern : environment.files) {
    glob_t found{};
    if (::glob((root + pattern).c_str(), 0, nullptr, &found) == 0)
      for (std::size_t i = 0; i < found.gl_pathc && !out; ++i)
        if (const auto text = read(found.gl_pathv[i]))
          for (const std::string& line : joined_lines(*text))
            if (line.starts_with(variable)) out = found.gl_pathv[i];
    ::globfree(&found);
  }
  return out;
}

}  // namespace lbctl::kernel::units
