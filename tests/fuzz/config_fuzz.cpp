// Fuzzes the whole way from text to the state of every node. A form feed, which TOML allows
// nowhere, separates the file from its fragments. What must hold for any input: a Config exactly
// without errors, every node of it resolves, every diagnostic points into the file and is harmless
// to print, and every key's place holds that key.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "toml_reader.hpp"

using namespace lbctl;
using namespace lbctl::config;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// The file and its fragments; at least one.
std::vector<NamedText> split(std::string_view text) {
  std::vector<NamedText> out;
  for (;;) {
    const std::size_t end = text.find('\f');
    out.push_back({"fuzz" + std::to_string(out.size()), text.substr(0, end)});
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

void check_diagnostic(const Diagnostic& diagnostic, const std::vector<NamedText>& files) {
  const auto file = std::ranges::find(files, diagnostic.file, &NamedText::name);
  require(file != files.end(), "the file is one of those");
  const std::string_view text = file->text;
  const auto lines = 1 + std::ranges::count(text, '\n');
  require(diagnostic.line >= 0 && diagnostic.line <= lines, "the line is in the file");
  if (diagnostic.line > 0) {
    require(diagnostic.column >= 1 && diagnostic.width >= 1, "places count from 1");
    const auto end = static_cast<std::size_t>(diagnostic.column) - 1;
    require(end <= diagnostic.source_line.size() + 1, "the column is on the line");
    require(text.contains(diagnostic.source_line), "the line is the file's");
  }
  for (const char c : render(diagnostic)) {
    const auto octet = static_cast<unsigned char>(c);
    require(octet >= 0x20 ? octet != 0x7f : c == '\n' || c == '\t', "harmless to print");
  }
}

/// A key as it stands in the file against what it means; escapes are left to toml11.
bool spells(std::string_view written, std::string_view key) {
  const bool quotes = written.starts_with('"') || written.starts_with('\'');
  if (quotes) {
    if (written.size() < 2 || written.back() != written.front()) return false;
    if (written.front() == '"' && written.contains('\\')) return true;
    written = written.substr(1, written.size() - 2);
  }
  return written == key;
}

void check_keys(const Node& node, const Source& source) {
  for (const Member& member : node.members) {
    require(spells(source.text(member.key_at), member.key), "a key's place holds that key");
    check_keys(member.value, source);
  }
  for (const Node& item : node.items)
    check_keys(item, source);
}

void check_trees(const std::vector<NamedText>& files) {
  Source source;
  for (const NamedText& file : files)
    source.add(file.name, file.text);
  Report report(source);
  for (const File& file : source.files()) {
    if (const auto root = read_toml(file, report)) check_keys(*root, source);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto files = split({reinterpret_cast<const char*>(data), size});
  check_trees(files);

  const Loaded loaded = read_texts(files);
  const bool errors = std::ranges::any_of(loaded.diagnostics, [](const Diagnostic& diagnostic) {
    return diagnostic.severity == Diagnostic::Severity::error;
  });
  require(loaded.ok() != errors, "a Config exactly without errors");
  for (const Diagnostic& diagnostic : loaded.diagnostics)
    check_diagnostic(diagnostic, files);
  if (!loaded.ok()) return 0;
  for (const std::string& node : loaded.config->node_names()) {
    require(recognise_node(*loaded.config, node, {}).has_value(), "every node is recognised");
    require(resolve(*loaded.config, node, {}).has_value(), "every node resolves");
  }
  return 0;
}
