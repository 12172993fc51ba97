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
  text = std::regex_replace(text, std::regex(R"((^|\n)# (\[[a-z.]+\]|[a-z_]+ *= ))"), "$1$2");
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

TEST_CASE("documents: however TOML allows to write it, the cluster is the same") {
  const std::vector<std::string> spellings = {
      "[directors.d]\naddress = [\"192.0.2.10\"]\ninterface = \"eth0\"\n[servers.s]\n"
      "address = [\"192.0.2.11\"]\ninterface = \"eth0\"\nid = 1\n[services.w]\n"
      "vip = [\"192.0.2.100\"]\nports = [443]\nprotocols = [\"tcp\"]\n",
      // one inline table each
      "directors = { d = { address = ['192.0.2.10'], interface = 'eth0' } }\n"
      "servers = { s = { address = ['192.0.2.11'], interface = 'eth0', id = 0x1 } }\n"
      "services = { w = { vip = ['192.0.2.100'], ports = [4_43], protocols = ['tcp'] } }\n",
      // dotted keys, in no order, with blanks around the dots
      "services . w . vip = [\"192.0.2.100\"]\ndirectors.d.interface = \"eth0\"\n"
      "servers.s.id = +1\nservices.w.ports = [ 0b110111011, ]\nservers.s.interface = \"eth0\"\n"
      "directors.d.address = [\"192.0.2.10\"]\nservers.s.address = [\"192.0.2.11\"]\n"
      "services.w.protocols = [\"tcp\"]\n",
      // quoted keys, escapes, texts of several lines, carriage returns, a byte order mark
      "\xef\xbb\xbf[\"directors\".'d']\r\n\"addr\\u0065ss\" = [\"\"\"192.0.2.10\"\"\"]\r\n"
      "interface = '''eth0'''\r\n[ servers . \"s\" ] # here\r\naddress = [ # and\r\n"
      "  \"192.0.2\\u002e11\", # there\r\n]\r\ninterface = \"\"\"\\\r\n   eth0\"\"\"\r\nid = "
      "0o1\r\n"
      "[services]\r\n[services.w]\r\nvip = ['192.0.2.100']\r\nports = [0x1bB]\r\n"
      "protocols = [\"t\\U00000063p\"]",
  };
  for (const std::string& text : spellings) {
    CAPTURE(text);
    const Loaded loaded = read_text(text, "t");
    CHECK(test::said(loaded) == "");
    REQUIRE(loaded.ok());
    const Config& config = *loaded.config;
    CHECK(config.directors.at("d").addresses == std::vector{test::ip("192.0.2.10")});
    CHECK(config.servers.at("s").addresses == std::vector{test::ip("192.0.2.11")});
    CHECK(config.servers.at("s").interface == "eth0");
    CHECK(config.servers.at("s").id == lbctl::model::ServerId{1});
    CHECK(config.services.at("w").ports == std::vector{lbctl::model::Port{443}});
    CHECK(config.services.at("w").protocols == std::set{Protocol::tcp});
  }
}
