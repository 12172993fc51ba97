// The example and the man page say what the reader does. That lbctl.toml(5) describes every key is
// tests/cli/docs_test.py.
#include <regex>

#include "files.hpp"

using namespace lbctl::config;

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
