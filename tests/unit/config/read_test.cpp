#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "files.hpp"

using namespace lbctl;
using namespace lbctl::config;
using model::Port;
using model::Weight;
using test::ip;

TEST_CASE("read: every key reaches the Config") {
  const Config config = test::config_of(test::with_nodes(R"(
[cluster]
name = "edge"
[directors.dir2]
address = ["192.0.2.20"]
interface = "eth0.100"
client_interfaces = ["eth1", "eth2"]
vip_on = "loopback"
[services.web]
vip = ["192.0.2.100", "2001:db8::100"]
ports = [443, 80]
protocols = ["quic", "mptcp"]
scheduler = "mh"
scheduler_flags = ["mh-fallback", "mh-port"]
persistence_timeout = "5m"
servers = { rs1 = 0, rs2 = 65535 }
mptcp = { signal = "address", via = "forward", join_only = false }
quic.cid = { scheme = "quic-lb", config = 6, id_length = 8, nonce_length = 11 }
[mptcp]
subflows = 8
add_addr_accepted = 1
)"));
  CHECK(config.cluster.name == "edge");
  const Director& dir1 = config.directors.at("dir1");
  CHECK(dir1.client_interfaces == std::vector<std::string>{"eth0"});
  CHECK(dir1.vip_on == VipOn::interface);
  const Director& dir2 = config.directors.at("dir2");
  CHECK(dir2.name == "dir2");
  CHECK(dir2.addresses == std::vector{ip("192.0.2.20")});
  CHECK(dir2.interface == "eth0.100");
  CHECK(dir2.client_interfaces == std::vector<std::string>{"eth1", "eth2"});
  CHECK(dir2.vip_on == VipOn::loopback);
  const Server& rs1 = config.servers.at("rs1");
  CHECK(rs1.addresses == std::vector{ip("192.0.2.11"), ip("2001:db8::11")});
  CHECK(rs1.interface == "eth1");
  CHECK(rs1.id == model::ServerId{1});
  CHECK(rs1.signal == std::vector{ip("192.0.2.111"), ip("2001:db8::111")});
  const Service& web = config.services.at("web");
  CHECK(web.vips == std::vector{ip("192.0.2.100"), ip("2001:db8::100")});
  CHECK(web.ports == std::vector{Port{443}, Port{80}});
  CHECK(web.protocols == std::set{Protocol::mptcp, Protocol::quic});
  CHECK(web.scheduler == "mh");
  CHECK(web.flags == model::ServiceFlags{true, false, true, true, false});
  CHECK(web.persistence_timeout == 300);
  CHECK(web.servers == std::map<std::string, lbctl::config::ServerUse>{{"rs1", {Weight{0}}},
                                                                       {"rs2", {Weight{65535}}}});
  CHECK_FALSE(web.mptcp.join_only);
  CHECK(web.quic.cids == std::vector<QuicCid>{{{6, 8, 11}, ""}});
  CHECK(config.mptcp_limits == model::MptcpLimits{8, 1});
  CHECK(config.node_names() == std::vector<std::string>{"dir1", "dir2", "rs1", "rs2"});
}

TEST_CASE("read: what is left out has its default") {
  const Config config = test::config_of(test::with_nodes(R"(
[services.dns]
vip = ["192.0.2.100"]
ports = [53]
protocols = ["tcp", "quic"]
quic = { cid = { scheme = "quic-lb" } }
[services.one]
vip = ["192.0.2.101"]
ports = [53]
protocols = ["udp"]
scheduler = "sh"
scheduler_flags = ["sh-fallback"]
servers = ["rs2"]
)"));
  const Service& dns = config.services.at("dns");
  CHECK(dns.scheduler == "wlc");
  CHECK(dns.flags == model::ServiceFlags{});
  CHECK(dns.persistence_timeout == 0);
  CHECK(dns.servers == std::map<std::string, lbctl::config::ServerUse>{{"rs1", {Weight{1}}},
                                                                       {"rs2", {Weight{1}}}});
  CHECK(dns.mptcp.join_only);
  CHECK(dns.quic.cids == std::vector<QuicCid>{{{0, 2, 6}, ""}});
  CHECK_FALSE(config.mptcp_limits);
  CHECK(config.cluster.name == "");
  const Service& one = config.services.at("one");
  CHECK(one.flags == model::ServiceFlags{false, false, true, false, false});
  CHECK(one.servers == std::map<std::string, lbctl::config::ServerUse>{{"rs2", {Weight{1}}}});
}

TEST_CASE("read: nodes and services know where they stand") {
  const Config config = test::config_of(
      "services.web = { vip = [\"192.0.2.100\"], ports = [1], protocols = [\"tcp\"] }\n" +
      std::string(test::nodes));
  CHECK(config.services.at("web").at.text() == "test.toml:1:10");
  CHECK(config.services.at("web").at.width == 3);
  CHECK(config.servers.at("rs2").at.text() == "test.toml:11:10");
}

TEST_CASE("read: the same VIP and port for another protocol is another listener") {
  const Config config = test::config_of(test::with_nodes(R"(
[services.a]
vip = ["192.0.2.100"]
ports = [53]
protocols = ["tcp"]
[services.b]
vip = ["192.0.2.100"]
ports = [53]
protocols = ["udp"]
)"));
  CHECK(config.services.size() == 2);
}

TEST_CASE("read: durations in every unit") {
  const auto seconds = [](std::string text) {
    return test::config_of(test::with_nodes("[services.a]\nvip = [\"192.0.2.100\"]\nports = [1]\n"
                                            "protocols = [\"tcp\"]\npersistence_timeout = \"" +
                                            text + "\"\n"))
        .services.at("a")
        .persistence_timeout;
  };
  CHECK(seconds("2000ms") == 2);
  CHECK(seconds("1s") == 1);
  CHECK(seconds("5m") == 300);
  CHECK(seconds("2h") == 7200);
  CHECK(seconds("31d") == 2678400);
}

TEST_CASE("read_file: what can't be read is a diagnostic") {
  const Loaded missing = read_file("/nonexistent/lbctl.toml");
  CHECK_FALSE(missing.ok());
  CHECK(test::said(missing) ==
        "/nonexistent/lbctl.toml: error: can't be read: No such file or directory (ENOENT)\n");
  CHECK(test::said(read_file("/")) ==
        "/: error: is a directory\n"
        "  hint: name one file; fragments are read from conf.d beside it\n");
}

TEST_CASE("read_file: an endless file is refused") {
  CHECK(test::said(read_file("/dev/zero")).contains("error: the file is larger than 4 MiB\n"));
}

TEST_CASE("read_file: - is standard input, and named so") {
  const int saved = ::dup(STDIN_FILENO);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const std::string text = "x = 1\n";
  REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
  const Loaded loaded = read_file("-");
  if (saved >= 0) {
    ::dup2(saved, STDIN_FILENO);
    ::close(saved);
  }
  CHECK(test::said(loaded).starts_with("standard input:1:1: error: unknown key \"x\"\n"));
}

TEST_CASE("read: layouts of connection IDs, one or several, each scheme in the model's terms") {
  const auto cids = [](std::string text) {
    return test::config_of(test::with_nodes("[services.a]\nvip = [\"192.0.2.100\"]\nports = [1]\n"
                                            "protocols = [\"quic\"]\n" +
                                            text))
        .services.at("a")
        .quic.cids;
  };
  using model::CidFormat;
  const std::vector<QuicCid> rotation = {
      {{.nonce_length = 8, .encrypted = true}, "/old"},
      {{.config = 1, .nonce_length = 8, .encrypted = true}, "/new"}};
  CHECK(cids("quic.cid = [{ scheme = \"quic-lb\", nonce_length = 8, key_file = \"/old\" },\n"
             "{ scheme = \"quic-lb\", config = 1, nonce_length = 8, key_file = \"/new\" }]\n") ==
        rotation);
  CHECK(cids("[[services.a.quic.cid]]\nscheme = \"quic-lb\"\nnonce_length = 8\n"
             "key_file = \"/old\"\n[[services.a.quic.cid]]\nscheme = \"quic-lb\"\nconfig = 1\n"
             "nonce_length = 8\nkey_file = \"/new\"\n") == rotation);
  CHECK(cids("quic.cid = { scheme = \"aws-nlb\" }\n") ==
        std::vector<QuicCid>{{{.id_length = 8, .nonce_length = 7}, ""}});
  CHECK(cids("quic.cid = { scheme = \"msquic\" }\n") ==
        std::vector<QuicCid>{{{.format = CidFormat::msquic}, ""}});
  CHECK(cids("quic.cid = { scheme = \"katran\", version = 3 }\n") ==
        std::vector<QuicCid>{{{.format = CidFormat::katran, .version = 3}, ""}});
  CHECK(cids("quic.cid = { scheme = \"raw\", offset = 8, id_length = 4, length = 20 }\n") ==
        std::vector<QuicCid>{
            {{.id_length = 4, .format = CidFormat::raw, .offset = 8, .length = 20}, ""}});
  // Its VIP is IPv4, so the addresses in the connection IDs are.
  CHECK(cids("quic.cid = { scheme = \"dpvs\" }\n") ==
        std::vector<QuicCid>{{{.id_length = 3, .format = CidFormat::dpvs}, ""}});
}

TEST_CASE("read: server ids beyond what TOML's numbers hold are written in hexadecimal") {
  const auto id = [](std::string_view text) {
    const Config config = test::config_of(
        fmt::format("[directors.d]\naddress = [\"192.0.2.1\"]\ninterface = \"eth0\"\n[servers.s]\n"
                    "address = [\"192.0.2.2\"]\ninterface = \"eth0\"\nid = {}\n",
                    text));
    return config.servers.at("s").id;
  };
  CHECK(id("9223372036854775807").text() == "9223372036854775807");
  CHECK(id("\"0x5\"") == model::ServerId{5});
  CHECK(id("\"0x8000000000000000\"").text() == "0x8000000000000000");
  CHECK(id("\"0xed793a51d49b8f5fab65\"") == model::ServerId{0x3a51d49b8f5fab65, 0xed79});
  CHECK(id("\"0xed793a51d49b8f5fab65\"").text() == "0xed793a51d49b8f5fab65");
  CHECK(id("\"0x" + std::string(30, 'f') + "\"").bits() == 120);
}
