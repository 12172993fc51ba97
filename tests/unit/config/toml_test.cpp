// The reader takes what TOML 1.0.0 allows and refuses what it forbids, whatever toml11 thinks.
#include <vector>

#include "files.hpp"

using namespace lbctl::config;

namespace {

/// No syntax error: unknown keys are another matter.
bool is_toml(const std::string& text) {
  for (const Diagnostic& diagnostic : read_text(text, "t").diagnostics) {
    const bool about_keys =
        diagnostic.message.starts_with("unknown key") || diagnostic.message.contains(" must be ");
    if (!about_keys) {
      MESSAGE(render(diagnostic));
      return false;
    }
  }
  return true;
}

bool is_refused(const std::string& text) {
  const Loaded loaded = read_text(text, "t");
  return loaded.diagnostics.size() == 1 &&
         !loaded.diagnostics.front().message.starts_with("unknown key");
}

}  // namespace

TEST_CASE("toml: everything that the specification allows is read") {
  const std::vector<std::string> legal = {
      "",
      "# only a comment",
      "\n\n \t\n",
      "a = 1",
      "a = 1 # comment without newline",
      "a = 1\r\nb = 2\r\n",
      "\xef\xbb\xbf"
      "a = 1\n",
      "a=1\n\tb\t=\t2\n",
      "\"\" = 1\n'x' . '' = 2\n",
      "a . b . \"c d\" = 1\na.b.e = 2\n",
      "1234 = 1\n-_- = 2\n",
      "a = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00e9\\U0001F600\"",
      "a = 'C:\\raw'",
      "a = \"\"\"\nline \"quoted\" \"\"\\\n   next\"\"\"\"\"\n",
      "a = '''\nraw ''quotes'''''\n",
      "a = \"\"\"\"\"\"\nb = ''\nc = \"\"",
      "a = 0\nb = +1\nc = -17\nd = 1_000\ne = 0xDEAD_beef\nf = 0o755\ng = 0b11",
      "a = 9223372036854775807\nb = -9223372036854775808",
      "a = 1.0\nb = -0.5e-3\nc = 1e06\nd = inf\ne = -nan\nf = 9_224.445_991",
      "a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5-07:00\nc = 1979-05-27\nd = 07:32:00",
      "a = 2024-02-29",
      "a = []\nb = [ [1, 2], [\"a\"], ]\nc = [ # c\n 1 # d\n , # e\n 2 ]\n",
      "a = {}\nb = { c = 1, d.e = [ 1,\n 2 ], \"f\" = { g = true } }",
      "[a]\n[a.b]\n[a.b.c] # comment\n[ d . \"e\" ]",
      "[a.b]\nx = 1\n[a]\ny = 2\n",
      "[[a]]\nx = 1\n[[a]]\nx = 2\n[a.b]\ny = 3\n",
      "a = \"# no comment\" # comment",
      "a = [\"]\", \"#\", '[']",
  };
  for (const std::string& text : legal) {
    CAPTURE(text);
    CHECK(is_toml(text));
  }
}

TEST_CASE("toml: what the specification forbids is refused with one error") {
  const std::vector<std::string> forbidden = {
      "= 1",
      "a",
      "a =",
      "a = 1 b = 2",
      "a = # nothing",
      "a. = 1",
      ".a = 1",
      "a..b = 1",
      "a b = 1",
      "[a",
      "[]",
      "[a]]",
      "[[a]",
      "[a] x = 1",
      "é = 1",
      "\"\"\"a\"\"\" = 1",
      "a = \"x",
      "a = \"x\ny\"",
      "a = 'x\ny'",
      "a = \"\"\"x",
      "a = \"\\x41\"",
      "a = \"\\u12\"",
      "a = \"\\uD800\"",
      "a = \"\\U00110000\"",
      "a = \"\x01\"",
      "a = '\x7f'",
      "# \x07",
      "a = \"\xc3\x28\"",
      "a = \"\xed\xa0\x80\"",
      "a = \"\xc0\xaf\"",
      std::string("a = \"\0\"", 7),
      "a = 01",
      "a = 1__0",
      "a = _1",
      "a = 1_",
      "a = 0xg",
      "a = +0x1",
      "a = 1.",
      "a = .5",
      "a = 1.e5",
      "a = 1e",
      "a = True",
      "a = 9223372036854775808",
      "a = 2023-02-29",
      "a = 2023-13-01",
      "a = 2023-1-1",
      "a = 24:00:00",
      "a = 07:32",
      "a = 1979-05-27T07:32:00+25:00",
      "a = [1 2]",
      "a = [,]",
      "a = [1,,2]",
      "a = [1",
      "a = { b = 1, }",
      "a = { b = 1\n}",
      "a = { b }",
      "a = { b = 1 c = 2 }",
      "a = 1\na = 2",
      "a = 1\na.b = 2",
      "a.b = 1\na = 2",
      "[a]\n[a]",
      "a = {}\n[a.b]",
      "a = { b = 1, b = 2 }",
      "[a]\nb = 1\n[a.b]",
      "a = []\n[[a]]",
      "[[a]]\n[a]",
      "a = 1\rb = 2",
  };
  for (const std::string& text : forbidden) {
    CAPTURE(text);
    CHECK(is_refused(text));
  }
}

TEST_CASE("toml: the place of an error does not depend on line ends or a byte order mark") {
  for (const char* text : {"x = 1\n[a]\nb = yes\n", "x = 1\r\n[a]\r\nb = yes\r\n",
                           "\xef\xbb\xbfx = 1\n[a]\nb = yes"}) {
    const Loaded loaded = read_text(text, "t");
    REQUIRE(loaded.diagnostics.size() == 1);
    CHECK(loaded.diagnostics[0].line == 3);
    CHECK(loaded.diagnostics[0].column == 5);
    CHECK(loaded.diagnostics[0].width == 3);
    CHECK(loaded.diagnostics[0].source_line == "b = yes");
  }
}

TEST_CASE("toml: limits on size, lines and nesting") {
  const auto first = [](const std::string& text) {
    return read_text(text, "t").diagnostics.at(0).message;
  };
  // An octet that is not UTF-8 tells that the size was no matter.
  CHECK(first('\xff' + std::string(max_file_size, 'x')) == "the file is larger than 4 MiB");
  CHECK(first('\xff' + std::string(max_file_size - 1, 'x')) == "this octet is not UTF-8");
  CHECK(first("\n# " + std::string(16 * 1024, 'x')) == "the line is longer than 16384 octets");
  CHECK(is_toml("\n# " + std::string(16 * 1024 - 2, 'x')));
  const auto nested = [](std::size_t depth) {
    return "a = " + std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(is_toml(nested(16)));
  CHECK(first(nested(17)) == "arrays and tables are nested too deeply");
  CHECK(first(nested(5000)) == "arrays and tables are nested too deeply");
  std::string key = "a";
  for (int i = 0; i < 5000; ++i)
    key += ".a";
  CHECK(first(key + " = 1") == "the key has too many parts");
  CHECK(first("[" + key + "]") == "the key has too many parts");
}

TEST_CASE("toml: a flood of errors is cut off") {
  std::string text;
  for (int i = 0; i < 1200; ++i)
    text += "k" + std::to_string(i) + " = 1\n";
  const Loaded loaded = read_text(text, "t");
  CHECK(loaded.diagnostics.size() == 1001);
  CHECK(render(loaded.diagnostics.back()) == "t: error: 200 further remarks left out\n");
  CHECK_FALSE(loaded.ok());
}
