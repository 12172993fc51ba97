// Every file in wrong/ against the whole text that lbctl says about it. A new case is two files:
// NAME.toml and NAME.txt. Files named warning-* are legal but doubtful.
#include <algorithm>
#include <vector>

#include "files.hpp"

namespace fs = std::filesystem;
using namespace lbctl::config;

namespace {

std::vector<fs::path> files(const char* extension) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(LBCTL_SOURCE_DIR "/tests/unit/config/wrong")) {
    if (entry.path().extension() == extension) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace

TEST_CASE("wrong files: the whole text of the diagnostics is as recorded") {
  const auto wrong = files(".toml");
  CHECK(wrong.size() >= 40);
  CHECK(wrong.size() == files(".txt").size());
  for (const fs::path& path : wrong) {
    const std::string name = path.filename().string();
    CAPTURE(name);
    const Loaded loaded = read_text(test::slurp(path), name);
    CHECK(test::said(loaded) == test::slurp(fs::path(path).replace_extension(".txt")));
    CHECK(loaded.ok() == name.starts_with("warning-"));
  }
}
