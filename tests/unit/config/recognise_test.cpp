#include "files.hpp"
#include "lbctl/config/resolve.hpp"

using namespace lbctl;
using namespace lbctl::config;
using test::ip;

namespace {

model::NodeFacts facts(std::string host, std::set<model::IpAddress> local = {}) {
  model::NodeFacts out;
  out.host_name = std::move(host);
  out.local_addresses = std::move(local);
  return out;
}

}  // namespace

TEST_CASE("recognise: the node asked for wins over host name and addresses") {
  const Config config = test::config_of(test::nodes);
  CHECK(recognise_node(config, "rs2", facts("rs1", {ip("192.0.2.10")})).value() == "rs2");
}

TEST_CASE("recognise: the host name, whole or up to its first dot, wins over addresses") {
  const Config config = test::config_of(test::nodes);
  CHECK(recognise_node(config, {}, facts("rs1", {ip("192.0.2.10")})).value() == "rs1");
  CHECK(recognise_node(config, {}, facts("rs1.example.net")).value() == "rs1");
  const Config dotted = test::config_of(
      "[servers.\"rs1.a\"]\naddress = [\"192.0.2.1\"]\ninterface = \"eth0\"\nid = 1\n"
      "[servers.rs1]\naddress = [\"192.0.2.2\"]\ninterface = \"eth0\"\nid = 2\n");
  CHECK(recognise_node(dotted, {}, facts("rs1.a")).value() == "rs1.a");
  CHECK(recognise_node(dotted, {}, facts("rs1.b")).value() == "rs1");
}

TEST_CASE("recognise: else an address of this machine") {
  const Config config = test::config_of(test::nodes);
  CHECK(recognise_node(config, {}, facts("x", {ip("127.0.0.1"), ip("2001:db8::12")})).value() ==
        "rs2");
  CHECK(recognise_node(config, {}, facts("", {ip("192.0.2.10")})).value() == "dir1");
}

TEST_CASE("recognise: a node that is not there is named, with the nodes that are") {
  const Config config = test::config_of(test::nodes);
  const auto asked = recognise_node(config, "rs3", facts("rs1"));
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code() == Errc::not_found);
  CHECK(asked.error().text() == "no node \"rs3\" in the file");
  CHECK(asked.error().hint() == "the nodes of the file are dir1, rs1, rs2");

  const auto unknown = recognise_node(config, {}, facts("box", {ip("192.0.2.111")}));
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().code() == Errc::not_found);
  CHECK(unknown.error().text() ==
        "this machine is no node of the file: neither its host name \"box\" nor an address of its "
        "own stands there");
  CHECK(unknown.error().hint() == "--node NAME; the nodes of the file are dir1, rs1, rs2");
  CHECK(recognise_node(test::config_of(""), "a", facts("a")).error().hint() ==
        "the file has no nodes");
}

TEST_CASE("recognise: addresses of two nodes are not guessed about") {
  const auto both = recognise_node(test::config_of(test::nodes), {},
                                   facts("x", {ip("192.0.2.11"), ip("192.0.2.10")}));
  REQUIRE_FALSE(both);
  CHECK(both.error().code() == Errc::invalid);
  CHECK(both.error().text() == "this machine has the addresses of dir1 and rs1");
  CHECK(both.error().hint() == "say which node it is: --node NAME");
}
