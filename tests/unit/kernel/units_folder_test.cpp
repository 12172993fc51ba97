// The drop-ins in a file system of their own: written, read back, mended, taken away, and never
// anybody else's.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "drop_in.hpp"
#include "lbctl/kernel/units.hpp"
#include "lbctl/plan/diff.hpp"
#include "lbctl/plan/render.hpp"
#include "temp_dir.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

namespace fs = std::filesystem;

constexpr const char* library = "/usr/lib/x86_64-linux-gnu/mptcpize/libmptcpwrap.so.0.0.1";

struct Machine {
  TempDir temp;
  kernel::UnitPlace place{temp.path, "", "/usr/sbin/lbctl", false};
  std::unique_ptr<kernel::Backend> backend = kernel::open_units(place);

  Machine() {
    write(library, "");
    write("/lib/systemd/system/web.service", "[Service]\nExecStart=/bin/web\n");
  }
  std::string path(const std::string& unit) const {
    return temp.path + "/etc/systemd/system/" + unit + ".d/" + kernel::units::drop_in_name;
  }
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(temp.path + file).parent_path());
    std::ofstream(temp.path + file) << text;
  }
  std::string text(const std::string& unit) const {
    std::ostringstream out;
    out << std::ifstream(path(unit)).rdbuf();
    return out.str();
  }
  UnitState read() const {
    Observed out;
    REQUIRE(backend->observe({}, out));
    return out.state.units;
  }
  kernel::Outcome make(const UnitState& units) const {
    NodeState want, have;
    want.units.mptcpized = units.mptcpized;
    have.units.mptcpized = read().mptcpized;
    return backend->execute(plan::diff(want, have));
  }
};

UnitState preloaded(const std::string& unit, AskedBy asked_by = AskedBy::file) {
  UnitState out;
  out.mptcpized[unit] = {MptcpWay::preload, asked_by, true};
  return out;
}

}  // namespace

TEST_CASE("mptcpize: what is written is read back, and what is taken back leaves nothing") {
  const Machine machine;
  CHECK(machine.read() == UnitState{});
  const auto made = machine.make(preloaded("web.service"));
  CHECK_FALSE(made.error);
  CHECK(made.done == 1);
  CHECK(machine.read() == preloaded("web.service"));
  CHECK(machine.text("web.service").ends_with(std::string("LD_PRELOAD=") + library + "\"\n"));
  CHECK((fs::status(machine.path("web.service")).permissions() & fs::perms::others_read) !=
        fs::perms::none);
  CHECK(machine.make(preloaded("web.service")).done == 0);
  CHECK_FALSE(machine.make({}).error);
  CHECK(fs::is_empty(machine.temp.path + "/etc/systemd/system"));
}

TEST_CASE("mptcpize: the folder of others' drop-ins stays, and they with it") {
  const Machine machine;
  const std::string other = "/etc/systemd/system/web.service.d/10-mine.conf";
  machine.write(other, "[Service]\nNice=5\n");
  CHECK_FALSE(machine.make(preloaded("web.service")).error);
  CHECK_FALSE(machine.make({}).error);
  CHECK(fs::exists(machine.temp.path + other));
  CHECK_FALSE(fs::exists(machine.path("web.service")));
}

TEST_CASE("mptcpize: a file without the mark is foreign, and so is a link") {
  const Machine machine;
  machine.write("/etc/systemd/system/web.service.d/zz-lbctl-mptcpize.conf", "[Service]\nNice=5\n");
  fs::create_directories(fs::path(machine.path("linked.service")).parent_path());
  fs::create_symlink("/etc/passwd", machine.path("linked.service"));
  CHECK(machine.read().mptcpized.empty());
  CHECK(machine.read().foreign == std::set<std::string>{"linked.service", "web.service"});
  for (const char* unit : {"linked.service", "web.service"}) {
    const auto refused = machine.make(preloaded(unit));
    REQUIRE(refused.error);
    CHECK(refused.error->code() == Errc::conflict);
  }
  CHECK(machine.text("web.service") == "[Service]\nNice=5\n");
  CHECK(fs::is_symlink(machine.path("linked.service")));
}

TEST_CASE("mptcpize: no folder behind a link is written to") {
  const Machine machine;
  machine.write("/elsewhere/keep", "");
  fs::create_directories(machine.temp.path + "/etc/systemd/system");
  fs::create_directory_symlink(machine.temp.path + "/elsewhere",
                               machine.temp.path + "/etc/systemd/system/web.service.d");
  CHECK(machine.make(preloaded("web.service")).error);
  CHECK_FALSE(fs::exists(machine.temp.path + "/elsewhere/zz-lbctl-mptcpize.conf"));
}

TEST_CASE("mptcpize: a changed drop-in is a difference, and mended") {
  const Machine machine;
  REQUIRE_FALSE(machine.make(preloaded("web.service")).error);
  const std::string whole = machine.text("web.service");
  std::ofstream(machine.path("web.service"), std::ios::app) << "Nice=5\n";
  CHECK_FALSE(machine.read().mptcpized.at("web.service").intact);
  CHECK(machine.make(preloaded("web.service")).done == 1);
  CHECK(machine.text("web.service") == whole);
}

TEST_CASE("mptcpize: LD_PRELOAD of the unit's other files comes first, also when it changes") {
  const Machine machine;
  machine.write("/lib/systemd/system/web.service", "[Service]\nEnvironment=LD_PRELOAD=a.so\n");
  REQUIRE_FALSE(machine.make(preloaded("web.service")).error);
  CHECK(machine.text("web.service").find("\"LD_PRELOAD=a.so /usr/lib/") != std::string::npos);
  machine.write("/run/systemd/system/web.service.d/50.conf",
                "[Service]\nEnvironment=LD_PRELOAD=b.so\n");
  CHECK_FALSE(machine.read().mptcpized.at("web.service").intact);
  REQUIRE_FALSE(machine.make(preloaded("web.service")).error);
  CHECK(machine.text("web.service").find("\"LD_PRELOAD=b.so /usr/lib/") != std::string::npos);
}

TEST_CASE("mptcpize: drop-ins of a template, of a common prefix and of all services count") {
  for (const char* folder :
       {"app-@.service.d", "app-x@.service.d", "app-x@1.service.d", "service.d"}) {
    const Machine machine;
    machine.write("/usr/lib/systemd/system/app-x@.service", "[Service]\n");
    machine.write(std::string("/etc/systemd/system/") + folder + "/10.conf",
                  "[Service]\nEnvironment=LD_PRELOAD=a.so\n");
    REQUIRE_FALSE(machine.make(preloaded("app-x@1.service")).error);
    CHECK_MESSAGE(machine.text("app-x@1.service").find("=a.so /usr") != std::string::npos, folder);
  }
}

TEST_CASE("mptcpize: an environment file that sets LD_PRELOAD is refused, as it would win") {
  const Machine machine;
  machine.write("/lib/systemd/system/web.service",
                "[Service]\nEnvironmentFile=-/etc/default/we*\n");
  REQUIRE_FALSE(machine.make(preloaded("web.service")).error);
  REQUIRE_FALSE(machine.make({}).error);
  machine.write("/etc/default/web", "A=1\n LD_PRELOAD=a.so\n");
  const auto refused = machine.make(preloaded("web.service"));
  REQUIRE(refused.error);
  CHECK(refused.error->text().find("/etc/default/web, an EnvironmentFile= of web.service") !=
        std::string::npos);
  CHECK(machine.read() == UnitState{});
}

TEST_CASE("mptcpize: without libmptcpwrap it fails, and names the package") {
  const Machine machine;
  fs::remove(machine.temp.path + library);
  const auto refused = machine.make(preloaded("web.service"));
  REQUIRE(refused.error);
  CHECK(refused.error->hint() == "apt install mptcpize");
  CHECK(machine.read() == UnitState{});
  CHECK_FALSE(kernel::read_unit_facts(machine.place).value().library);
}

TEST_CASE("mptcpize: one that fails leaves those before it done") {
  const Machine machine;
  machine.write("/etc/systemd/system/b.service.d/zz-lbctl-mptcpize.conf", "");
  UnitState units = preloaded("a.service");
  units.mptcpized["b.service"] = units.mptcpized["c.service"] = units.mptcpized["a.service"];
  const auto outcome = machine.make(units);
  CHECK(outcome.error);
  CHECK(outcome.done == 1);
  CHECK(machine.read().mptcpized == preloaded("a.service").mptcpized);
}

TEST_CASE("mptcpize: what was asked for by hand is a fact, as if it were intact") {
  const Machine machine;
  REQUIRE_FALSE(machine.make(preloaded("web.service", AskedBy::hand)).error);
  std::ofstream(machine.path("web.service"), std::ios::app) << "Nice=5\n";
  const auto facts = kernel::read_unit_facts(machine.place);
  REQUIRE(facts);
  CHECK(facts->library);
  CHECK(facts->by_hand == preloaded("web.service", AskedBy::hand).mptcpized);
  CHECK(kernel::unit_exists(machine.place, "web.service"));
  CHECK_FALSE(kernel::unit_exists(machine.place, "wed.service"));
}
