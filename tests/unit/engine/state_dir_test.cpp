#include "lbctl/engine/state_dir.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "temp_dir.hpp"

using namespace lbctl;
using namespace std::chrono_literals;

TEST_CASE("state directory: a second lbctl is told who holds the lock") {
  TempDir temp;
  auto first = engine::StateDir::open(temp.path);
  REQUIRE(first);
  auto held = first->lock(0ms, [](const std::string&) {});
  REQUIRE(held);

  auto second = engine::StateDir::open(temp.path);
  REQUIRE(second);
  std::string holder;
  const auto refused = second->lock(60ms, [&](const std::string& pid) { holder = pid; });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::busy);
  CHECK(holder == std::to_string(::getpid()));
  CHECK(refused.error().text().find("pid " + holder) != std::string::npos);
}

TEST_CASE("state directory: the lock of a killed process is free at once") {
  TempDir temp;
  auto dir = engine::StateDir::open(temp.path);
  REQUIRE(dir);
  const pid_t child = ::fork();
  if (child == 0) {
    auto held = dir->lock(0ms, [](const std::string&) {});
    ::_exit(held ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  CHECK(dir->lock(0ms, [](const std::string&) {}));
}

TEST_CASE("state directory: refused when others can write to it") {
  TempDir temp;
  ::chmod(temp.path.c_str(), 0777);
  const auto dir = engine::StateDir::open(temp.path);
  REQUIRE_FALSE(dir);
  CHECK(dir.error().code() == Errc::permission);
}

TEST_CASE("state directory: the ledger is replaced whole, and a planted file is not followed") {
  TempDir temp;
  auto dir = engine::StateDir::open(temp.path);
  REQUIRE(dir);
  const std::string victim = temp.path + "/victim";
  std::ofstream(victim) << "precious";
  REQUIRE(::symlink(victim.c_str(), (dir->path() + "/ledger.json.new").c_str()) == 0);

  engine::Ledger ledger;
  ledger.sysctls = {{"a", "1"}};
  REQUIRE(dir->write_ledger(ledger));
  CHECK(*dir->read_ledger() == ledger);
  CHECK(*engine::peek_ledger(temp.path) == ledger);
  std::string kept;
  std::getline(std::ifstream(victim), kept);
  CHECK(kept == "precious");
}

TEST_CASE("state directory: looking makes nothing") {
  TempDir temp;
  const std::string root = temp.path + "/lbctl";
  CHECK(*engine::peek_ledger(root) == engine::Ledger{});
  CHECK(::access(root.c_str(), F_OK) != 0);
}
