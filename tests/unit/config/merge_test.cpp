// Fragments and defaults: several files are one, and what a table lacks it is given.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.hpp"

using namespace lbctl;
using namespace lbctl::config;
namespace fs = std::filesystem;

namespace {

Loaded load(const std::vector<std::string>& texts) {
  std::vector<NamedText> files;
  for (const std::string& text : texts)
    files.push_back({"f" + std::to_string(files.size()), text});
  return read_texts(files);
}

/// A folder that goes away with it.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("lbctl-merge-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path / "conf.d"); }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
  }
  Loaded read() const { return read_file(path / "lbctl.toml"); }
};

constexpr const char* defaults = R"(
[defaults.director]
vip_on = "loopback"
[defaults.service]
ports = [443]
protocols = ["mptcp", "quic"]
scheduler = "mh"
scheduler_flags = ["mh-port", "mh-fallback"]
persistence_timeout = "1m"
servers = { rs1 = 5 }
mptcp.join_only = false
quic.cid = { scheme = "quic-lb", config = 3, nonce_length = 8 }
)";

}  // namespace

TEST_CASE("merge: tables add up over the files, in any order") {
  const std::string web =
      "[services.web]\nvip = [\"192.0.2.100\"]\nports = [80]\nprotocols = [\"tcp\"]\n";
  const std::string dns =
      "[services.dns]\nvip = [\"192.0.2.100\"]\nports = [53]\nprotocols = [\"udp\"]\n";
  const std::string drain = "drain.tcp = \"9m\"\n";
  for (const std::vector<std::string>& files :
       {std::vector{std::string(test::nodes), web, dns + "[drain]\nudp = \"8m\"\n", drain},
        std::vector{drain, dns + "[drain]\nudp = \"8m\"\n", web, std::string(test::nodes)}}) {
    const Loaded loaded = load(files);
    REQUIRE_MESSAGE(loaded.ok(), test::said(loaded));
    CHECK(loaded.config->services.size() == 2);
    CHECK(loaded.config->services.at("web").servers.size() == 2);
    CHECK(loaded.config->drain.tcp == 540);
    CHECK(loaded.config->drain.udp == 480);
  }
}

TEST_CASE("merge: a node of a fragment knows its file") {
  const Loaded loaded = load({"\n\n", test::nodes, ""});
  REQUIRE(loaded.ok());
  CHECK(loaded.config->servers.at("rs2").at.text() == "f1:10:10");
}

TEST_CASE("merge: the place of an error at the end of a file is in that file") {
  const Loaded loaded = load({"a = [", "b = ["});
  REQUIRE(loaded.diagnostics.size() == 2);
  CHECK(loaded.diagnostics[0].file == "f0");
  CHECK(loaded.diagnostics[1].file == "f1");
  const Loaded ends = load({"a =", "b ="});
  REQUIRE(ends.diagnostics.size() == 2);
  CHECK(ends.diagnostics[0].file == "f0");
  CHECK(ends.diagnostics[0].column == 4);
}

TEST_CASE("merge: a table gets what it lacks, key by key, and keeps what it says") {
  const Config config = test::config_of(test::with_nodes(std::string(defaults) + R"(
[directors.dir2]
address = ["192.0.2.20"]
interface = "eth0"
vip_on = "none"
[services.plain]
vip = ["192.0.2.100"]
[services.own]
vip = ["192.0.2.101"]
ports = [80]
protocols = ["quic", "tcp"]
scheduler = "wlc"
persistence_timeout = "2m"
servers = { rs2 = 7 }
quic.cid = { scheme = "quic-lb", nonce_length = 9 }
)"));
  CHECK(config.directors.at("dir1").vip_on == VipOn::loopback);
  CHECK(config.directors.at("dir2").vip_on == VipOn::none);
  const Service& plain = config.services.at("plain");
  CHECK(plain.ports == std::vector{model::Port{443}});
  CHECK(plain.scheduler == "mh");
  CHECK(plain.flags.sched1);
  CHECK(plain.persistence_timeout == 60);
  CHECK_FALSE(plain.mptcp.join_only);
  CHECK(plain.quic.cids == std::vector<QuicCid>{{{3, 2, 8}, ""}});
  CHECK(plain.servers == std::map<std::string, ServerUse>{{"rs1", {.weight = model::Weight{5}}}});
  const Service& own = config.services.at("own");
  CHECK(own.ports == std::vector{model::Port{80}});
  CHECK(own.scheduler == "wlc");
  CHECK_FALSE(own.flags.sched1);
  CHECK(own.persistence_timeout == 120);
  CHECK(own.quic.cids == std::vector<QuicCid>{{{3, 2, 9}, ""}});
  // A table of weights is one value.
  CHECK(own.servers == std::map<std::string, ServerUse>{{"rs2", {.weight = model::Weight{7}}}});
}

TEST_CASE("merge: defaults of mptcp and quic are no news for services without them") {
  const Loaded loaded =
      read_text(test::with_nodes(std::string(defaults) +
                                 "[services.a]\nvip = [\"192.0.2.100\"]\nprotocols = [\"tcp\"]\n"),
                "t");
  CHECK(test::said(loaded) == "");
}

TEST_CASE("merge: defaults of IPVS go to the services that can take them") {
  const Loaded loaded = read_text(test::with_nodes(R"(
[defaults.service]
ports = [80]
one_packet = true
notrack = true
server_port = 8080
uthreshold = 100
lthreshold = 90
tunnel = { type = "gre" }
[services.nat]
vip = ["192.0.2.100"]
protocols = ["tcp"]
forward = "masquerade"
[services.far]
vip = ["192.0.2.101"]
protocols = ["udp"]
forward = "tunnel"
uthreshold = 10
[services.near]
vip = ["192.0.2.102"]
protocols = ["tcp"]
servers = ["rs2"]
)"),
                                  "t");
  CHECK(loaded.diagnostics.size() == 2);  // one_packet leaves no connections; two ways of answering
  REQUIRE_MESSAGE(loaded.ok(), test::said(loaded));
  const Service& nat = loaded.config->services.at("nat");
  CHECK(nat.servers.at("rs1") == ServerUse{{model::Weight{1}}, model::Port{8080}, 100, 90});
  CHECK_FALSE(nat.flags.one_packet);
  const Service& far = loaded.config->services.at("far");
  CHECK(far.servers.at("rs1") == ServerUse{{model::Weight{1}}, {}, 10, 0});
  CHECK(far.flags.one_packet);
  CHECK_FALSE(nat.notrack);
  CHECK(far.notrack);
  CHECK(loaded.config->services.at("near").notrack);  // it is forwarded by "dr" without saying so
  CHECK(far.tunnel.type == model::TunnelType::gre);
}

TEST_CASE("merge: a wrong default of a thousand tables is one error") {
  std::string text = "[defaults.service]\nports = [0]\nprotocols = [\"tcp\"]\n";
  for (int i = 0; i < 1500; ++i)
    text += "[services.s" + std::to_string(i) + "]\nvip = [\"10.0." + std::to_string(i / 250) +
            "." + std::to_string(i % 250 + 1) + "\"]\n";
  const Loaded loaded = read_text(test::with_nodes(text), "t");
  CHECK(loaded.diagnostics.size() == 1);
}

TEST_CASE("read_file: fragments are the regular files conf.d/*.toml, by name") {
  const Folder folder;
  folder.write("lbctl.toml", test::nodes);
  folder.write("conf.d/20.toml", "b = 1\n");
  folder.write("conf.d/10.toml",
               "\xef\xbb\xbf"
               "a = 1\n");
  folder.write("conf.d/10.toml.dpkg-old", "no = yes");
  folder.write("conf.d/.hidden.toml", "no = yes");
  folder.write("conf.d/README", "no = yes");
  fs::create_directory(folder.path / "conf.d/folder.toml");
  fs::create_symlink("20.toml", folder.path / "conf.d/30.toml");
  fs::create_symlink("nowhere", folder.path / "conf.d/40.toml");
  const std::string in = (folder.path / "conf.d").string();
  const Loaded loaded = folder.read();
  CHECK_FALSE(loaded.ok());
  std::string places;
  for (const Diagnostic& diagnostic : loaded.diagnostics)
    places += diagnostic.file.substr(in.size() + 1) + ":" + std::to_string(diagnostic.line) + " " +
              diagnostic.message + "\n";
  CHECK(places ==
        "folder.toml:0 is no regular file; it is not read\n"
        "40.toml:0 can't be read: No such file or directory (ENOENT)\n"
        "10.toml:1 unknown key \"a\"\n"
        "20.toml:1 unknown key \"b\"\n"
        "30.toml:1 b stands in two files\n");
}

TEST_CASE("read_file: a file without conf.d, or with an empty one, stands alone") {
  const Folder folder;
  folder.write("lbctl.toml", test::nodes);
  CHECK(test::said(folder.read()) == "");
  fs::remove(folder.path / "conf.d");
  CHECK(test::said(folder.read()) == "");
  folder.write("conf.d", "no folder");
  CHECK(test::said(folder.read()) == "");
}

TEST_CASE("read_file: errors of fragments come although the file itself is missing") {
  const Folder folder;
  folder.write("conf.d/a.toml", "x = 1\n");
  const Loaded loaded = folder.read();
  CHECK_FALSE(loaded.ok());
  CHECK(loaded.diagnostics.size() == 2);
  CHECK(loaded.diagnostics[0].message.contains("can't be read"));
  CHECK(loaded.diagnostics[1].message == "unknown key \"x\"");
}

TEST_CASE("read_file: a file that everybody may write is doubtful") {
  const Folder folder;
  folder.write("lbctl.toml", test::nodes);
  folder.write("conf.d/a.toml", "");
  REQUIRE(::chmod((folder.path / "conf.d/a.toml").c_str(), 0666) == 0);
  const Loaded loaded = folder.read();
  CHECK(loaded.ok());
  CHECK(test::said(loaded) == (folder.path / "conf.d/a.toml").string() +
                                  ": warning: everybody may write this file\n  hint: chmod o-w\n");
}

TEST_CASE("read_file: the size of all files together is limited") {
  const Folder folder;
  folder.write("lbctl.toml", test::nodes);
  for (const char* name : {"conf.d/a.toml", "conf.d/b.toml", "conf.d/c.toml"})
    folder.write(name, std::string(max_file_size / 4096 * 1500, '\n'));
  const Loaded loaded = folder.read();
  CHECK_FALSE(loaded.ok());
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(loaded.diagnostics[0].file.ends_with("c.toml"));
  CHECK(loaded.diagnostics[0].message == "with this, all files together are larger than 4 MiB");
}

TEST_CASE("refuse_warnings: a doubtful file is wrong") {
  Loaded loaded = read_text(test::with_nodes("[services.a]\nvip = [\"192.0.2.100\"]\nports = [1]\n"
                                             "protocols = [\"tcp\"]\nscheduler = \"mh\"\n"),
                            "t");
  REQUIRE(loaded.ok());
  refuse_warnings(loaded);
  CHECK_FALSE(loaded.ok());
  CHECK(test::said(loaded).contains(": error: mh without mh-fallback"));
  Loaded right = read_text(test::nodes, "t");
  refuse_warnings(right);
  CHECK(right.ok());
}
