#include "lbctl/engine/key_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "temp_dir.hpp"

using namespace lbctl;

namespace {

constexpr const char* digits = "8f95f09245765f80256934e50c66207f";

struct KeyFile {
  TempDir folder;
  std::string path = folder.path + "/cid.key";

  explicit KeyFile(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
  }
  /// Without the path.
  std::string refusal() const {
    const auto key = engine::read_key_file(path);
    if (key) return "";
    const std::string step = "key file " + path + ": ";
    REQUIRE(key.error().text().starts_with(step));
    return key.error().text().substr(step.size());
  }
};

}  // namespace

TEST_CASE("key file: 32 digits, with a newline or without") {
  for (const std::string& text :
       {std::string(digits), std::string(digits) + "\n", "  " + std::string(digits) + " \r\n"}) {
    const KeyFile file(text);
    const auto key = engine::read_key_file(file.path);
    REQUIRE(key);
    CHECK(key->octets()[0] == 0x8f);
    CHECK(key->octets()[15] == 0x7f);
    CHECK(key->check().size() == 6);
  }
  CHECK(engine::read_key_file(KeyFile(digits, 0440).path));
}

TEST_CASE("key file: what everybody may read or write is refused, and says so") {
  CHECK(KeyFile(digits, 0604).refusal() == "others may read it (mode 0604)");
  CHECK(KeyFile(digits, 0644).refusal() == "others may read it (mode 0644)");
  CHECK(KeyFile(digits, 0602).refusal() == "others may write it (mode 0602)");
  CHECK(KeyFile(digits, 0660).refusal() == "others may write it (mode 0660)");
}

TEST_CASE("key file: somebody else's is refused") {
  const KeyFile file(digits);
  if (::geteuid() != 0) return;  // nobody else can give a file away
  REQUIRE(::chown(file.path.c_str(), 1234, 0) == 0);
  CHECK(file.refusal() == "it belongs to user 1234");
}

TEST_CASE("key file: no other content is taken, and none is shown") {
  const std::string wrong = "it does not hold 32 hexadecimal digits and nothing else";
  const std::string all(digits);
  for (const std::string& text :
       {std::string(), all.substr(1), all + "0", all + " 00", "0x" + all.substr(2),
        all.substr(0, 31) + "g", all.substr(0, 16) + "\n" + all.substr(16),
        all + std::string(200, ' ') + "x", std::string(200, '0')}) {
    CAPTURE(text);
    CHECK(KeyFile(text).refusal() == wrong);
  }
  CHECK(engine::read_key_file("/nonexistent/key").error().text() ==
        "key file /nonexistent/key: open it: No such file or directory (ENOENT)");
  CHECK(engine::read_key_file("/dev/null").error().text() ==
        "key file /dev/null: it is no regular file");
}
