#include "lbctl/engine/drain_list.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "temp_dir.hpp"

using namespace lbctl;
using model::DrainIntent;
using model::UnixTime;

namespace {

struct Places {
  TempDir run, lib;
  engine::DrainPlaces places{run.path, lib.path + "/lbctl", "dir1"};
};

const DrainIntent all_of_rs2{.server = "rs2", .since = UnixTime{1000}};
const DrainIntent web_of_rs2{.server = "rs2",
                             .service = "web",
                             .since = UnixTime{1001},
                             .seconds = 60,
                             .until = 5,
                             .persistent = true};

}  // namespace

TEST_CASE("drains: what is written is what is read, each in its place") {
  Places p;
  CHECK(engine::read_drains(p.places)->empty());
  REQUIRE(engine::write_drains(p.places, {all_of_rs2, web_of_rs2}));
  auto read = engine::read_drains(p.places);
  REQUIRE(read);
  CHECK(*read == engine::DrainList{web_of_rs2, all_of_rs2});

  // After a boot the first directory is empty; another node's drains are not this one's.
  const engine::DrainPlaces booted{p.run.path + "/new", p.places.persist_dir, "dir1"};
  CHECK(*engine::read_drains(booted) == engine::DrainList{web_of_rs2});
  CHECK(engine::read_drains({booted.state_root, booted.persist_dir, "dir2"})->empty());

  REQUIRE(engine::write_drains(p.places, {}));
  CHECK(engine::read_drains(p.places)->empty());
}

TEST_CASE("drains: a second one of the same server and service replaces the first") {
  engine::DrainList list{all_of_rs2, web_of_rs2};
  DrainIntent again = web_of_rs2;
  again.seconds = 90;
  engine::add_drain(list, again);
  CHECK(list == engine::DrainList{all_of_rs2, again});
  CHECK_FALSE(engine::remove_drain(list, "rs2", "dns"));
  CHECK_FALSE(engine::remove_drain(list, "rs1", std::nullopt));
  CHECK(engine::remove_drain(list, "rs2", "web"));
  CHECK(list == engine::DrainList{all_of_rs2});
  engine::add_drain(list, web_of_rs2);
  CHECK(engine::remove_drain(list, "rs2", std::nullopt));
  CHECK(list.empty());
}

TEST_CASE("drains: a damaged list is an error, never an empty one") {
  for (const char* text : {"", "{}", "[1]", R"({"schema_version":2,"drains":[]})",
                           R"({"schema_version":1,"drains":[{"server":"rs1"}]})"}) {
    CAPTURE(text);
    CHECK_FALSE(engine::parse_drains(text));
  }
}

TEST_CASE("drains: a directory that others may write to is refused") {
  Places p;
  REQUIRE(engine::write_drains(p.places, {web_of_rs2}));
  REQUIRE(::chmod(p.places.persist_dir.c_str(), 0777) == 0);
  const auto read = engine::read_drains(p.places);
  REQUIRE_FALSE(read);
  CHECK(read.error().code() == Errc::permission);
}
