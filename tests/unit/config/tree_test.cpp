// Plain files are put together from what the scanner found, with values that toml11 read;
// everything else goes through toml11 as a whole. Nobody must be able to tell the difference.
#include "tree.hpp"

#include <string>

#include "files.hpp"
#include "same_tree.hpp"

using namespace lbctl::config;

namespace {

bool same_both_ways(const std::string& text) {
  return lbctl::config::same_both_ways(File("t", text));
}

/// Whether the fast way takes it, if every text means what it spells.
bool taken(const std::string& text) {
  const File source("t", text);
  const auto scanned = scan(source);
  if (!scanned || !is_plain(*scanned)) return false;
  Scalars scalars;
  for (const auto scalar : scalar_texts(source, *scanned))
    scalars[scalar].text = scalar.substr(1, scalar.size() - 2);
  return build_tree(source, *scanned, scalars).has_value();
}

}  // namespace

TEST_CASE("tree: the fast way gives toml11's tree") {
  for (const std::string text : {
           "",
           "# only a comment",
           "a = 1 # one\nb = \"two\"\r\n",
           "[a]\nx = 1\n[b]\nx = 1\n",
           "x = 1\n[a.b.c]\nx = 0x1F\n[a.b.d]\ny = -1_000\n[ a . e ]\n",
           "[a]\nx = [1, [true, 'f'], {y = 1.5, z = [ ] }, # c\n 1979-05-27 07:32:00Z, ]\n",
           "[a.\"b c\".'d']\n\"\\u00e9\" = \"\\u00e9\\n\"\n'è' = '\\u00e9'\n",
           "a = \"\"\"\none\\\n   two\"\"\"\nb = '''\n three\n'''\n",
           "a = {}\nb = { \"c d\" = 1, e = { f = [] } }\n",
           "a = [\"1\", 1, '1', 1.0, true, 12:00:00]\n",
           "z = 1\ny = 2\n[x]\n[w]\nb = 1\na = 2\n",
       }) {
    CAPTURE(text);
    CHECK(taken(text));
    CHECK(same_both_ways(text));
  }
}

TEST_CASE("tree: toml11 alone judges what may be defined twice") {
  for (const std::string text : {
           "a = 1\na = 2\n",
           "a = 1\n\"a\" = 2\n",
           "a = { b = 1, 'b' = 2 }\n",
           "[a]\n[a]\n",
           "[a]\n[b]\n['a']\n",
           "[a.b]\n[a]\n",
           "[a]\nb = 1\n[a.b]\n",
           "[a]\nb = {}\n[a.b.c]\n",
           "[a.b]\n[a.c]\n[a.b]\n",
           "a.b = 1\na.c = 2\n",
           "[a]\nb.c = 1\n[a.b.d]\n",
           "a = { b.c = 1 }\n",
           "[[a]]\nx = 1\n[[a]]\n[a.b]\n",
       }) {
    CAPTURE(text);
    CHECK(same_both_ways(text));
  }
  CHECK_FALSE(taken("a = 1\n\"a\" = 2\n[b]\n[b]\n"));
  CHECK_FALSE(taken("[a.b]\n[a]\n"));
  CHECK_FALSE(taken("a.b = 1\n"));
  CHECK_FALSE(taken("[[a]]\n"));
}

TEST_CASE("tree: each distinct value is read once") {
  const File source("t", "a = [1, 2, 1, \"1\"]\nb = { \"c\" = 1, d = '1', e = \"1\" }\n");
  const auto scanned = scan(source);
  REQUIRE(scanned);
  CHECK(scalar_texts(source, *scanned) ==
        std::vector<std::string_view>{"1", "2", "\"1\"", "\"c\"", "'1'"});
}
