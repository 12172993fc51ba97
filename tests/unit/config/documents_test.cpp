// The example and the man page say what the reader does.
#include <algorithm>
#include <regex>
#include <set>

#include "files.hpp"

using namespace lbctl::config;

namespace {

/// The keys that lbctl.toml(5) describes: an item below the heading of its table.
std::set<std::string> documented_keys() {
  std::istringstream page(test::slurp(LBCTL_SOURCE_DIR "/man/lbctl.toml.5"));
  const std::regex heading(R"(\.SS \[([a-zA-Z._]+)\])");
  const std::regex item(R"(\.BR ([a-z_]+) " \(.*)");
  std::set<std::string> out;
  std::string table, line, before;
  for (; std::getline(page, line); before = line) {
    std::smatch match;
    if (line.starts_with(".SH")) table.clear();
    if (std::regex_match(line, match, heading)) {
      table = std::regex_replace(match[1].str(), std::regex("NAME"), "*");
    } else if (before == ".TP" && std::regex_match(line, match, item) && !table.empty()) {
      out.insert(table + "." + match[1].str());
    }
  }
  return out;
}

/// Keys with a value: tables and the names that a file chooses are described by headings.
std::set<std::string> keys_with_values() {
  const std::vector<std::string> all = known_keys();
  std::set<std::string> out;
  for (const std::string& key : all) {
    const bool has_tables_below = std::ranges::any_of(all, [&](const std::string& other) {
      return other.starts_with(key + ".") && other != key + ".*";
    });
    const bool of_names = !key.contains('.') || key.ends_with(".*");
    if (!of_names && (!has_tables_below || key.ends_with(".cid") || key == "services.*.servers"))
      out.insert(key);
  }
  return out;
}

}  // namespace

TEST_CASE("documents: lbctl.toml(5) describes every key, and no other") {
  const std::set<std::string> known = keys_with_values();
  CHECK(known.size() == 42);
  CHECK(known.contains("services.*.servers"));
  CHECK(documented_keys() == known);
}

TEST_CASE("documents: the example is right and gives no warning") {
  const Loaded loaded = read_file(LBCTL_SOURCE_DIR "/etc/lbctl.toml");
  CHECK(test::said(loaded) == "");
  REQUIRE(loaded.ok());
  CHECK(loaded.config->services.at("web").servers.size() == 2);
}

TEST_CASE("documents: what the example has commented out is right, too") {
  std::string text = test::slurp(LBCTL_SOURCE_DIR "/etc/lbctl.toml");
  // "# key = value" and "# [table]" at the start of a line, not prose.
  text = std::regex_replace(text, std::regex(R"((^|\n)# (\[[a-z]+\]|[a-z_]+ *= ))"), "$1$2");
  CHECK(text.contains("\nclient_interfaces = "));
  CHECK(text.contains("\nsubflows "));
  const Loaded loaded = read_text(text, "etc/lbctl.toml");
  CHECK(test::said(loaded) == "");
  REQUIRE(loaded.ok());
  CHECK(loaded.config->mptcp_limits.has_value());
  CHECK(loaded.config->services.at("web").persistence_timeout == 300);
}

TEST_CASE("documents: the man page shows the example") {
  const std::string page = test::slurp(LBCTL_SOURCE_DIR "/man/lbctl.toml.5");
  std::string shown = page.substr(page.find(".nf\n") + 4);
  shown = std::regex_replace(shown.substr(0, shown.find(".fi\n")), std::regex(R"(\\-)"), "-");
  const Loaded loaded = read_text(shown, "lbctl.toml.5");
  CHECK(test::said(loaded) == "");
  // The example without its comments, blank lines aside.
  const auto bare = [](std::string text) {
    text = std::regex_replace(text, std::regex(R"(\s*#[^\n]*)"), "");
    text = std::regex_replace(text, std::regex(R"(\n+)"), "\n");
    return text.starts_with('\n') ? text.substr(1) : text;
  };
  CHECK(bare(shown) == bare(test::slurp(LBCTL_SOURCE_DIR "/etc/lbctl.toml")));
}
