// Programs that really run. Root sees them run by another user; others skip that.
#include "child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "command.hpp"
#include "temp_dir.hpp"

using namespace lbctl;
using namespace lbctl::daemon;

namespace {

bool ended(const Child& child, int milliseconds) {
  pollfd wait{child.fd(), POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) == 1;
}

std::string outcome(const std::vector<std::string>& words, const User& user,
                    const std::vector<std::string>& environment = {}) {
  auto child = Child::start(words, environment, user);
  if (!child) return "not run: " + child.error().text();
  REQUIRE(ended(*child, 60000));
  return child->reap();
}

User myself() {
  return {::geteuid(), ::getegid(), {}};
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("child: its exit status, or the signal that ended it") {
  CHECK(outcome({"/bin/true"}, myself()) == "");
  CHECK(outcome({"/bin/sh", "-c", "exit 7"}, myself()) == "exit status 7");
  CHECK(outcome({"/bin/sh", "-c", "kill -9 $$"}, myself()) == "killed by signal 9 (Killed)");
  CHECK(outcome({"/bin/no-such-thing"}, myself()) ==
        "not run: /bin/no-such-thing: No such file or directory (ENOENT)");
}

TEST_CASE("child: arguments as they are, and no environment but its own") {
  TempDir temp;
  const std::string out = temp.path + "/out";
  const std::vector<std::string> words{
      "/bin/sh", "-c", "exec >$2; echo \"$1\"; env; pwd; ls /proc/$$/fd", "sh", "a b; $(c)", out};
  REQUIRE(outcome(words, myself(), {"LBCTL_SERVER=rs1"}) == "");
  const std::string text = contents(out);
  CHECK(text.starts_with("a b; $(c)\n"));
  CHECK(text.find("LBCTL_SERVER=rs1\n") != std::string::npos);
  CHECK(text.find("HOME=") == std::string::npos);
  CHECK(text.find("\n/\n0\n1\n2\n") != std::string::npos);
}

TEST_CASE("child: the daemon's descriptors and signals are not its own") {
  const int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  REQUIRE(leaked > 2);
  struct sigaction ignore{}, before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  const std::string leak = "test ! -e /proc/$$/fd/" + std::to_string(leaked);
  CHECK(outcome({"/bin/sh", "-c", leak}, myself()) == "");
  CHECK(outcome({"/bin/sh", "-c", "kill -PIPE $$"}, myself()) ==
        "killed by signal 13 (Broken pipe)");
  ::sigaction(SIGPIPE, &before, nullptr);
  ::close(leaked);
}

TEST_CASE("child: killed with all that it has started") {
  TempDir temp;
  const std::string pipe = temp.path + "/pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const Fd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK));
  auto child =
      Child::start({"/bin/sh", "-c", "exec >\"$0\"; echo x; sleep 1000 & sleep 1000", pipe},
                   {"PATH=/bin:/usr/bin"}, myself());
  REQUIRE(child);
  pollfd wait{reader.get(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 60000) == 1);
  char octets[8];
  REQUIRE(::read(reader.get(), octets, sizeof octets) == 2);
  CHECK(!ended(*child, 0));
  child->kill();
  REQUIRE(ended(*child, 60000));
  CHECK(child->reap() == "killed by signal 9 (Killed)");
  // The pipe ends only when the sleep in the background is gone, too.
  REQUIRE(::poll(&wait, 1, 60000) == 1);
  CHECK(::read(reader.get(), octets, sizeof octets) == 0);
}

TEST_CASE("child: by another user, without root's groups") {
  const auto nobody = find_user("nobody");
  REQUIRE(nobody);
  CHECK(nobody->uid != 0);
  CHECK(find_user("no such user").error().code() == Errc::not_found);
  if (::geteuid() != 0) return;
  CHECK(outcome({"/bin/sh", "-c", "test $(id -u) != 0 && ! id -G | grep -qw 0"}, *nobody,
                {"PATH=/bin:/usr/bin"}) == "");
  CHECK(outcome({"/bin/sh", "-c", "grep -q 'NoNewPrivs:.1' /proc/self/status"}, *nobody,
                {"PATH=/bin:/usr/bin"}) == "");
}

TEST_CASE("child: a program that others could replace is not run") {
  CHECK(trusted_program("/bin/sh"));
  TempDir temp;  // below a folder that everybody may write to, or owned by whoever tests
  const std::string program = temp.path + "/check";
  std::ofstream(program) << "#!/bin/sh\n";
  ::chmod(program.c_str(), 0777);
  const auto open = trusted_program(program);
  REQUIRE(!open);
  CHECK(open.error().code() == Errc::permission);
  CHECK(open.error().text() == program + " can be written by others than root");
  ::chmod(program.c_str(), 0755);
  ::chmod(temp.path.c_str(), 0777);
  const auto folder = trusted_program(program);
  REQUIRE(!folder);
  CHECK(folder.error().text() == temp.path + " can be written by others than root");
  CHECK(!trusted_program(temp.path));
}

TEST_CASE("command: what programs are told") {
  ProbeSpec spec{*model::IpAddress::parse("2001:db8::1"), model::Port{80}, {}, {}, "web", "rs1"};
  const auto check = environment_of(spec);
  CHECK(std::vector(check.begin() + 1, check.end()) ==
        std::vector<std::string>{"LBCTL_SERVICE=web", "LBCTL_SERVER=rs1",
                                 "LBCTL_ADDRESS=2001:db8::1", "LBCTL_PORT=80"});
  CHECK(environment_of("web", false)[2] == "LBCTL_QUORUM=down");
}
