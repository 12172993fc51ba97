// Every file in wrong/ against the whole text that lbctl says about it. A new case is two files:
// NAME.toml and NAME.txt; or, with fragments, a folder NAME with lbctl.toml and conf.d in it, and
// NAME.txt. What is named warning-* is legal but doubtful.
#include <algorithm>
#include <vector>

#include "files.hpp"

namespace fs = std::filesystem;
using namespace lbctl::config;

namespace {

const fs::path wrong_files = LBCTL_SOURCE_DIR "/tests/unit/config/wrong";

/// What the golden texts speak of.
std::vector<fs::path> cases() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(wrong_files)) {
    if (entry.path().extension() == ".txt") out.push_back(entry.path().stem());
  }
  std::ranges::sort(out);
  return out;
}

struct Text {
  std::string name;
  std::string text;
};

/// The file of the case, or those of its folder in their order, with the names of the golden text.
std::vector<Text> texts_of(const std::string& name) {
  const fs::path file = wrong_files / (name + ".toml");
  if (fs::exists(file)) return {{name + ".toml", test::slurp(file)}};
  std::vector<Text> out;
  for (const auto& entry : fs::directory_iterator(wrong_files / name / "conf.d")) {
    const fs::path& path = entry.path();
    out.push_back({"conf.d/" + path.filename().string(), test::slurp(path)});
  }
  std::ranges::sort(out, {}, &Text::name);
  out.insert(out.begin(), {"lbctl.toml", test::slurp(wrong_files / name / "lbctl.toml")});
  return out;
}

}  // namespace

TEST_CASE("wrong files: the whole text of the diagnostics is as recorded") {
  const auto all = cases();
  CHECK(all.size() >= 150);
  std::size_t sources = 0;
  for (const auto& entry : fs::directory_iterator(wrong_files))
    if (entry.path().extension() != ".txt") ++sources;
  CHECK(sources == all.size());
  for (const std::string name : all) {
    CAPTURE(name);
    const std::vector<Text> texts = texts_of(name);
    std::vector<NamedText> files;
    for (const Text& text : texts)
      files.push_back({text.name, text.text});
    const Loaded loaded = read_texts(files);
    CHECK(test::said(loaded) == test::slurp(wrong_files / (name + ".txt")));
    CHECK(loaded.ok() == name.starts_with("warning-"));
  }
}
