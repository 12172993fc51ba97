#include "files.hpp"

using namespace lbctl::config;

namespace {

Diagnostic at(int column, int width, std::string line) {
  Diagnostic out;
  out.file = "f.toml";
  out.line = 7;
  out.column = column;
  out.width = width;
  out.message = "wrong";
  out.source_line = std::move(line);
  return out;
}

}  // namespace

TEST_CASE("diagnostic: file, line, column, the line, a marker as wide as the mistake, a hint") {
  Diagnostic diagnostic = at(5, 3, "id = abc");
  diagnostic.hint = "a number";
  CHECK(render(diagnostic) ==
        "f.toml:7:5: error: wrong\n"
        "  id = abc\n"
        "      ^~~\n"
        "  hint: a number\n");
  diagnostic.severity = Diagnostic::Severity::warning;
  diagnostic.hint.clear();
  CHECK(render(diagnostic).starts_with("f.toml:7:5: warning: wrong\n"));
  CHECK_FALSE(render(diagnostic).contains("hint"));
}

TEST_CASE("diagnostic: the marker stands below the mistake behind tabs and multi-octet letters") {
  CHECK(render(at(5, 1, "\té\tx")) == "f.toml:7:5: error: wrong\n  \té\tx\n  \t \t^\n");
  CHECK(render(at(2, 4, "\"éé\"")) == "f.toml:7:2: error: wrong\n  \"éé\"\n   ^~\n");
}

TEST_CASE("diagnostic: octets that would act on a terminal are shown, not sent") {
  CHECK(render(at(3, 1, "\x1b[\xff\r!")) ==
        "f.toml:7:3: error: wrong\n"
        "  \\x1b[\\xff\\x0d!\n"
        "       ^~~~\n");
  // A surrogate, an overlong form, half a character: not UTF-8.
  CHECK(render(at(1, 3, "\xed\xa0\x80 \xc0\xaf \xc3")) ==
        "f.toml:7:1: error: wrong\n"
        "  \\xed\\xa0\\x80 \\xc0\\xaf \\xc3\n"
        "  ^~~~~~~~~~~~\n");
  Diagnostic hostile = at(1, 1, "");
  hostile.file = "a\nb";
  hostile.message = "no \"\x1b[2J\"";
  hostile.hint = "\xe2\x80\xae";  // right-to-left override
  CHECK(render(hostile) ==
        "a\\x0ab:7:1: error: no \"\\x1b[2J\"\n"
        "  \n"
        "  ^\n"
        "  hint: \\u{202e}\n");
}

TEST_CASE("diagnostic: a long line is cut on both sides of the marker") {
  const std::string line = std::string(100, 'a') + "BAD" + std::string(100, 'z');
  CHECK(render(at(101, 3, line)) == "f.toml:7:101: error: wrong\n  ..." + std::string(60, 'a') +
                                        "BAD" + std::string(60, 'z') + "...\n     " +
                                        std::string(60, ' ') + "^~~\n");
}

TEST_CASE("diagnostic: a place beyond the line does no harm") {
  CHECK(render(at(40, 9, "ab")) == "f.toml:7:40: error: wrong\n  ab\n    ^\n");
  CHECK(render(at(0, -3, "ab")) == "f.toml:7:0: error: wrong\n  ab\n  ^\n");
}

TEST_CASE("diagnostic: a remark on the file as a whole shows no line") {
  Diagnostic diagnostic = at(0, 0, "");
  diagnostic.line = 0;
  CHECK(render(diagnostic) == "f.toml: error: wrong\n");
}
