#include "lbctl/config/read.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "draft.hpp"
#include "folder.hpp"
#include "merge.hpp"
#include "schema.hpp"
#include "toml_reader.hpp"

namespace lbctl::config {
namespace {

std::string hash_of(std::span<const NamedText> files) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](char c) { hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3; };
  for (const NamedText& file : files) {
    std::ranges::for_each(file.text, add);
    add('\0');
  }
  return fmt::format("{:016x}", hash);
}

/// `partial`: there are files beside these that can't be read.
Loaded read_all(std::span<const NamedText> files, bool partial) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  Source source;
  for (const NamedText& file : files) {
    std::string_view text = file.text;
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    source.add(file.name, text);
  }

  Report report(source);
  if (partial) report.set_partial();
  std::vector<Node> trees;
  for (const File& file : source.files()) {
    if (auto tree = read_toml(file, report)) {
      trees.push_back(std::move(*tree));
    } else {
      report.set_partial();
    }
  }
  Loaded out;
  if (!trees.empty()) {
    Node root = merge(std::move(trees), report);
    check_shape(root, report);
    fill_defaults(root);
    check_required(root, report);
    const Draft draft = decode(root, report);
    check_nodes(draft, report);
    if (!report.partial()) {
      check_services(draft, report);
      check_ipvs(draft, report);
      check_tunnel_ends(draft, report);
      check_health(draft, report);
      check_doubts(draft, report);
    }
    if (!report.partial() && !report.has_errors()) out.config = to_config(draft, source);
  }
  out.diagnostics = report.take();
  out.hash = hash_of(files);
  return out;
}

}  // namespace

Loaded read_texts(std::span<const NamedText> files) {
  return read_all(files, false);
}

Loaded read_text(std::string_view text, std::string file_name) {
  const NamedText file{std::move(file_name), text};
  return read_texts({&file, 1});
}

Loaded read_file(const std::string& path) {
  Folder folder = read_folder(path);
  std::vector<NamedText> files;
  for (const Folder::Text& file : folder.texts)
    files.push_back({file.name, file.text});
  Loaded out = files.empty() ? Loaded{} : read_all(files, !folder.whole);
  out.diagnostics.insert(out.diagnostics.begin(), folder.diagnostics.begin(),
                         folder.diagnostics.end());
  return out;
}

void refuse_warnings(Loaded& loaded) {
  for (Diagnostic& diagnostic : loaded.diagnostics) {
    diagnostic.severity = Diagnostic::Severity::error;
    loaded.config.reset();
  }
}

}  // namespace lbctl::config
