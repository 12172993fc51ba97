// The tree that a text gives, with places, and what TOML does not let a file define twice.
#include "tree.hpp"

#include <string>

#include "files.hpp"
#include "toml_reader.hpp"

using namespace lbctl::config;

namespace {

/// A node on one line, keys in the order of the file: {a=1, b=[x, {}]}.
std::string spelled(const Node& node) {
  std::string out;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  switch (node.kind) {
    case Node::Kind::table:
      for (const Member& member : node.members)
        add(member.key + "=" + spelled(member.value));
      return "{" + out + "}";
    case Node::Kind::list:
      for (const Node& item : node.items)
        add(spelled(item));
      return "[" + out + "]";
    case Node::Kind::text:
      return node.text;
    case Node::Kind::integer:
      return std::to_string(node.integer);
    case Node::Kind::boolean:
      return node.boolean ? "true" : "false";
    default:
      return std::string(name(node.kind));
  }
}

/// The tree, or the first error: its place, its text and its hint.
std::string read(const std::string& text) {
  const Source source("t", text);
  Report report(source);
  const auto tree = read_toml(source.files().front(), report);
  if (tree) return spelled(*tree);
  const Diagnostic first = report.take().at(0);
  return std::to_string(first.line) + ":" + std::to_string(first.column) + ": " + first.message +
         "; " + first.hint;
}

}  // namespace

TEST_CASE("tree: tables, lists and values as the text has them") {
  CHECK(read("") == "{}");
  CHECK(read("a = 1 # one\nb = \"two\"\r\n") == "{a=1, b=two}");
  CHECK(read("x = 1\n[a.b.c]\nx = 0x1F\n[a.b.d]\ny = -1_000\n[ a . e ]\n") ==
        "{x=1, a={b={c={x=31}, d={y=-1000}}, e={}}}");
  CHECK(read("[a]\nx = [1, [true, 'f'], {y = 1.5, z = [ ] }, # c\n 1979-05-27 07:32:00Z, ]\n") ==
        "{a={x=[1, [true, f], {y=a number with a fraction, z=[]}, a date or time]}}");
  CHECK(read("[a.\"b c\".'d']\n\"\\u00e9\" = \"\\u00e9\\n\"\n") == "{a={b c={d={é=é\n}}}}");
  CHECK(read("a = \"\"\"\none\\\n   two\"\"\"\nb = '''\n three\n'''\n") ==
        "{a=onetwo, b= three\n}");
  CHECK(read("z = 1\ny = 2\n[x]\n[w]\nb = 1\na = 2\n") == "{z=1, y=2, x={}, w={b=1, a=2}}");
}

TEST_CASE("tree: dotted keys and lists of tables") {
  CHECK(read("a.b = 1\na.c.d = 2\n[e]\nf.g = 3\n[e.f.h]\n") ==
        "{a={b=1, c={d=2}}, e={f={g=3, h={}}}}");
  CHECK(read("a = { b.c = 1, b.d.e = 2 }\nf = [ { g.h = 3 }, { g = 4 } ]\n") ==
        "{a={b={c=1, d={e=2}}}, f=[{g={h=3}}, {g=4}]}");
  CHECK(read("[[a]]\nx = 1\n[a.b]\ny = 2\n[[a]]\nx = 3\n[a.b]\ny = 4\n[[a.c]]\n[[a.c]]\nz = 5\n") ==
        "{a=[{x=1, b={y=2}}, {x=3, b={y=4}, c=[{}, {z=5}]}]}");
  CHECK(read("[[a.b]]\nx = 1\n[a]\ny = 2\n") == "{a={b=[{x=1}], y=2}}");
  CHECK(read("[a.b]\nx = 1\n[a]\ny = 2\n") == "{a={b={x=1}, y=2}}");
  CHECK(read("[a.b.c]\nx = 1\n[a]\nb.y = 2\n") == "{a={b={c={x=1}, y=2}}}");
}

TEST_CASE("tree: what may not be defined twice") {
  const auto second = [](const std::string& text) { return read(text + "\n"); };
  CHECK(second("a = 1\na = 2") == "2:1: a is defined twice; first on line 1");
  CHECK(second("a = 1\n\"a\" = 2") == "2:1: \"a\" is defined twice; first on line 1");
  CHECK(second("a = { b = 1, 'b' = 2 }") == "1:14: 'b' is defined twice; first on line 1");
  CHECK(second("a = [ { b = 1, b.c = 2 } ]") == "1:16: b is defined twice; first on line 1");
  CHECK(second("[a]\n[b]\n['a']") == "3:2: 'a' is defined twice; first on line 1");
  CHECK(second("[a.b]\n[a]\n[a]") == "3:2: a is defined twice; first on line 2");
  CHECK(second("[a.b]\n[a]\nb.c = 1") == "3:1: b is defined twice; first on line 1");
  CHECK(second("[a.b]\nx = 1\n[a]\nb = 2") == "4:1: b is defined twice; first on line 1");
  CHECK(second("[a]\nb = 1\n[a.b]") == "3:4: b is defined twice; first on line 2");
  CHECK(second("[a]\nb = {}\n[a.b.c]") == "3:4: b is defined twice; first on line 2");
  CHECK(second("a.b = 1\n[a]") == "2:2: a is defined twice; first on line 1");
  CHECK(second("[a]\nb.c = 1\n[a.b]") == "3:4: b is defined twice; first on line 2");
  CHECK(second("[a]\nb.c = 1\n[d]\n[a.b.e]\n[f]\na.b.g = 1") ==
        "{a={b={c=1, e={}}}, d={}, f={a={b={g=1}}}}");
  CHECK(second("[[a]]\n[a]") == "2:2: a is defined twice; first on line 1");
  CHECK(second("[a]\n[[a]]") == "2:3: a is defined twice; first on line 1");
  CHECK(second("a = []\n[[a]]") == "2:3: a is defined twice; first on line 1");
  CHECK(second("a = []\n[[a.b]]") == "2:3: a is defined twice; first on line 1");
  CHECK(second("a = [{}]\n[a.b]") == "2:2: a is defined twice; first on line 1");
  CHECK(second("a = {}\na.b = 1") == "2:1: a is defined twice; first on line 1");
  CHECK(second("a = { b.c = [{}], b.c.d = 1 }") == "1:21: c is defined twice; first on line 1");
}

TEST_CASE("tree: each distinct value is read once") {
  const File source("t", "a = [1, 2, 1, \"1\"]\nb = { \"c\" = 1, d = '1', e = \"1\" }\n");
  const auto scanned = scan(source);
  REQUIRE(scanned);
  CHECK(scalar_texts(source, *scanned) ==
        std::vector<std::string_view>{"1", "2", "\"1\"", "\"c\"", "'1'"});
}
