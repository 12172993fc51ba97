// A node that is well; tests make it ill.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "lbctl/config/read.hpp"
#include "lbctl/doctor/doctor.hpp"

namespace lbctl::test {

inline model::IpAddress ip(std::string_view text) {
  return model::IpAddress::parse(text).value();
}

inline constexpr std::string_view cluster = R"([cluster]
name = "test"
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
client_interfaces = ["eth1"]
[servers.rs1]
address = ["192.0.2.11", "2001:db8:100::11"]
interface = "eth0"
id = 1
signal = ["192.0.2.111", "2001:db8:100::111"]
[servers.rs2]
address = ["192.0.2.12", "2001:db8:100::12"]
interface = "eth0"
id = 2
signal = ["192.0.2.112", "2001:db8:100::112"]
[services.web]
vip = ["192.0.2.100", "2001:db8:100::100"]
ports = [443]
protocols = ["mptcp", "quic"]
scheduler = "mh"
scheduler_flags = ["mh-port", "mh-fallback"]
[services.web.quic]
cid = { scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }
)";

struct Node {
  config::Config config;
  config::Desired desired;
  model::NodeState ours, foreign;
  std::vector<model::Operation> pending;
  std::vector<Error> refusals;
  doctor::Facts facts;

  explicit Node(const std::string& name, std::string_view more = "") {
    const std::string text = std::string(cluster) + std::string(more);
    auto loaded = config::read_text(text, "test.toml");
    for (const auto& one : loaded.diagnostics)
      MESSAGE(config::render(one));
    REQUIRE(loaded.config);
    config = *loaded.config;
    facts.node.links["eth0"] = {.index = 2, .kind = "veth", .up = true, .mtu = 1500};
    facts.node.links["eth1"] = {.index = 3, .kind = "", .up = true, .mtu = 1500};
    facts.node.neighbours[ip("192.0.2.11")] = {{2, 0, 0, 0, 0, 0x11}};
    facts.node.neighbours[ip("192.0.2.12")] = {{2, 0, 0, 0, 0, 0x12}};
    facts.node.neighbours[ip("192.0.2.10")] = {{2, 0, 0, 0, 0, 0x10}};
    desired = config::resolve(config, name, facts.node).value();
    ours = desired.state;
    ours.mptcp.limits = model::MptcpLimits{};
    std::uint8_t id = 0;
    for (auto& [key, endpoint] : ours.mptcp.endpoints)
      endpoint.id = ++id;
    ours.ipvs_node.timeouts = {900, 120, 300};
    for (auto& [device, attachment] : ours.xdp.attachments)
      attachment.mode = model::XdpMode::generic;
    for (const std::string& path : doctor::sysctls_of(config, desired))
      facts.sysctls[path] = "0";
    for (const auto& [path, value] : desired.state.sysctls)
      facts.sysctls[path] = value;
    facts.sysctls["net/netfilter/nf_conntrack_max"] = "65536";
    facts.sysctls["net/ipv4/tcp_timestamps"] = "1";
    facts.recognised = name;
    facts.machine.release = "6.1.0-test";
    facts.machine.capabilities = ~std::uint64_t{0};
    facts.machine.clock_in_sync = true;
    listen("::", model::L4::tcp, true);
    for (const auto* vip : {"192.0.2.100", "2001:db8:100::100"})
      listen(vip, model::L4::udp, false);
  }

  void listen(std::string_view address, model::L4 protocol, bool mptcp, std::uint16_t port = 443) {
    model::OpenSocket socket{.listener = {ip(address), model::Port{port}, mptcp, false},
                             .protocol = protocol,
                             .inode = 7,
                             .owner = model::Process{812, "httpd", ""},
                             .learns_destination = {}};
    facts.sockets.push_back(socket);
  }

  doctor::Report examine() const {
    return doctor::examine({config, desired, ours, foreign, pending, refusals, facts});
  }

  /// "error listener-missing", one a line.
  std::string findings() const {
    std::string out;
    for (const auto& one : examine().findings)
      out += fmt::format("{} {}\n", name(one.severity), one.id);
    return out;
  }

  /// The only one.
  doctor::Finding finding() const {
    auto all = examine().findings;
    REQUIRE_MESSAGE(all.size() == 1, findings());
    CHECK(!all[0].evidence.empty());
    CHECK(!all[0].consequence.empty());
    CHECK(!all[0].mend.empty());
    return all[0];
  }

  /// "yes no elsewhere …", in the order of the list.
  std::string ticks() const {
    std::string out;
    for (const auto& one : examine().checklist)
      out += fmt::format("{}{}", out.empty() ? "" : " ", name(one.tick));
    return out;
  }
};

}  // namespace lbctl::test
