// What is found on a real server: one trap each, and nothing else.
#include "healthy_node.hpp"

using namespace lbctl;
using model::L4;
using model::Port;
using test::ip;
using test::Node;

TEST_CASE("doctor: a server that is well has no findings, and its lines are ticked") {
  const Node node("rs1");
  CHECK(node.findings() == "");
  CHECK(!node.examine().sick());
  CHECK(node.ticks() == "yes yes yes elsewhere elsewhere");
}

TEST_CASE("doctor: nobody listens") {
  Node node("rs1");
  std::erase_if(node.facts.sockets, [](const auto& one) { return one.protocol == L4::tcp; });
  const auto found = node.finding();
  CHECK(found.id == "listener-missing");
  CHECK(found.evidence ==
        std::vector<std::string>{"no tcp socket takes 192.0.2.100:443 (service web)",
                                 "no tcp socket takes [2001:db8:100::100]:443 (service web)"});
  CHECK(node.ticks() == "no yes yes elsewhere elsewhere");
}

TEST_CASE("doctor: plain TCP where MPTCP is meant, and how each application comes to it") {
  struct Case {
    const char *command, *unit, *mend;
    std::vector<std::string> commands;
  };
  for (const Case& one :
       {Case{"httpd",
             "",
             "have the application make its socket with IPPROTO_MPTCP; or start it by: mptcpize "
             "run COMMAND",
             {}},
        Case{"haproxy",
             "haproxy.service",
             "write \"bind mptcp4@ADDRESS:PORT\" (IPv6: mptcp6@) in haproxy.cfg, HAProxy 3.1 or "
             "newer; or, as it is, by mptcpize(8), from the package mptcpd",
             {"mptcpize enable haproxy.service", "systemctl restart haproxy.service"}},
        Case{"nginx",
             "nginx.service",
             "add \"multipath\" to the listen directives, where this nginx knows it; or, as it is, "
             "by mptcpize(8), from the package mptcpd",
             {"mptcpize enable nginx.service", "systemctl restart nginx.service"}}}) {
    Node node("rs1");
    node.facts.sockets[0].listener.mptcp = false;
    node.facts.sockets[0].owner = model::Process{812, one.command, one.unit};
    const auto found = node.finding();
    CHECK(found.id == "listener-plain-tcp");
    CHECK(found.evidence[0].starts_with(std::string(one.command) + " (pid 812"));
    CHECK(found.mend == one.mend);
    CHECK(found.commands == one.commands);
  }
}

TEST_CASE("doctor: a socket on the VIP goes before a wildcard") {
  Node node("rs1");
  node.listen("192.0.2.100", L4::tcp, false);
  CHECK(node.finding().id == "listener-plain-tcp");
  Node other("rs1");
  other.facts.sockets[0].listener.mptcp = false;
  for (const auto* address :
       {"192.0.2.100", "2001:db8:100::100", "192.0.2.111", "2001:db8:100::111"})
    other.listen(address, L4::tcp, true);
  CHECK(other.findings() == "");
}

TEST_CASE("doctor: on the VIP only, so that joins find nobody") {
  Node node("rs1");
  node.facts.sockets[0].listener.address = ip("192.0.2.100");
  node.listen("2001:db8:100::100", L4::tcp, true);
  const auto found = node.finding();
  CHECK(found.id == "listener-vip-only");
  CHECK(found.evidence.size() == 2);
}

TEST_CASE("doctor: UDP on every address") {
  Node node("rs1");
  std::erase_if(node.facts.sockets, [](const auto& one) { return one.protocol == L4::udp; });
  node.listen("::", L4::udp, false);
  CHECK(node.findings() == "doubt listener-udp-wildcard\n");
  CHECK(!node.examine().sick());
  node.facts.sockets.back().learns_destination = false;
  CHECK(node.findings() == "warning listener-udp-wildcard\n");
  node.facts.sockets.back().learns_destination = true;
  CHECK(node.findings() == "");
}

TEST_CASE("doctor: ports that an application and the kernel both want") {
  const std::string port_mode = "[services.web.mptcp]\nsignal = \"port\"\nport_base = 44300\n";
  std::string text(port_mode);
  Node node("rs1");
  const model::EndpointKey key{ip("192.0.2.100"), Port{44301}};
  node.desired.state.mptcp.endpoints[key] = {.signal = true};
  node.listen("0.0.0.0", L4::tcp, false, 44301);
  CHECK(node.findings() == "error listener-endpoint-clash\n");
  node.ours.mptcp.endpoints[key] = {.signal = true, .id = 3};
  CHECK(node.findings() == "");
  node.foreign.mptcp.endpoints[{ip("192.0.2.111"), Port{443}}] = {.signal = true, .id = 4};
  CHECK(node.findings() == "error endpoint-port-clash\nwarning endpoint-foreign\n");
}

TEST_CASE("doctor: endpoints of others, their number and order") {
  Node node("rs1");
  node.facts.machine.path_managers = {"mptcpd"};
  node.foreign.mptcp.endpoints[{ip("10.0.0.1"), Port{}}] = {.subflow = true, .id = 5};
  auto found = node.finding();
  CHECK(found.id == "endpoint-foreign");
  CHECK(found.evidence[0].ends_with("is not lbctl's; mptcpd runs"));
  CHECK(found.commands == std::vector<std::string>{"ip mptcp endpoint delete id 5"});
  for (int i = 2; i < 9; ++i)
    node.foreign.mptcp.endpoints[{ip(fmt::format("10.0.0.{}", i)), Port{}}] = {.subflow = true};
  CHECK(node.findings().starts_with("error endpoints-too-many\n"));

  Node turned("rs1");
  for (auto& [key, endpoint] : turned.ours.mptcp.endpoints)
    endpoint.id = key.address.is_v4() ? 2 : 1;
  found = turned.finding();
  CHECK(found.id == "endpoint-order");
  CHECK(found.commands ==
        std::vector<std::string>{"ip mptcp endpoint delete id 1",
                                 "ip mptcp endpoint add 2001:db8:100::111 signal"});
}

TEST_CASE("doctor: what keeps endpoints from being announced or used") {
  Node node("rs1");
  node.ours.mptcp.limits->subflows = 0;
  auto found = node.finding();
  CHECK(found.id == "subflows-zero");
  CHECK(std::get<model::SetMptcpLimits>(found.fix.at(0)).to == model::MptcpLimits{2, 0});
  Node user("rs1");
  user.facts.sysctls["net/mptcp/pm_type"] = "1";
  CHECK(user.finding().id == "path-manager");
  CHECK(user.ticks() == "yes yes no elsewhere elsewhere");
  Node port("rs1");
  port.foreign.mptcp.endpoints[{ip("2001:db8:100::111"), Port{8443}}] = {.signal = true, .id = 9};
  CHECK(port.findings() == "error endpoint-v6-port\nwarning endpoint-foreign\n");
  port.facts.sysctls["net/ipv4/tcp_timestamps"] = "0";
  CHECK(port.findings() == "warning endpoint-foreign\n");
}

TEST_CASE("doctor: a VIP on a device that answers") {
  Node node("rs1");
  node.foreign.addresses[{"eth0", ip("192.0.2.100"), 32}] = {};
  const auto found = node.finding();
  CHECK(found.id == "vip-answers");
  CHECK(found.commands ==
        std::vector<std::string>{"ip address delete 192.0.2.100/32 dev eth0", "lbctl apply"});
  Node dummy("rs1");
  dummy.facts.node.links["vips"] = {.kind = "dummy", .up = true};
  dummy.foreign.addresses[{"vips", ip("192.0.2.100"), 32}] = {};
  CHECK(dummy.findings() == "");
}

TEST_CASE("doctor: a strict reverse path filter where the route to clients is by another device") {
  Node node("rs1");
  node.facts.sysctls["net/ipv4/conf/all/rp_filter"] = "1";
  const auto found = node.finding();
  CHECK(found.id == "rp-filter");
  CHECK(std::get<model::SetSysctl>(found.fix.at(0)).path == "net/ipv4/conf/eth0/rp_filter");
  node.facts.next_hops[doctor::far_client(model::Family::v4)] = {"eth1", ip("10.0.0.1")};
  CHECK(node.findings() == "warning rp-filter\n");
  node.facts.next_hops[doctor::far_client(model::Family::v4)] = {"eth0", ip("192.0.2.1")};
  CHECK(node.findings() == "");
}

TEST_CASE("doctor: a device that is down") {
  Node node("rs1");
  node.facts.node.links["eth0"].up = false;
  CHECK(node.finding().commands == std::vector<std::string>{"ip link set dev eth0 up"});
  node.facts.node.links.erase("eth0");
  CHECK(node.findings() == "error interface-down\n");
}

TEST_CASE("doctor: steering that others are in the way of") {
  Node node("rs1");
  node.foreign.xdp.foreign["eth0"] = "katran";
  CHECK(node.finding().id == "xdp-taken");
  Node native("rs1");
  native.ours.xdp.attachments["eth0"].mode = model::XdpMode::native;
  CHECK(native.findings() == "warning xdp-native-veth\n");
  Node hardware("rs1");
  hardware.facts.node.links["eth0"].kind = "";
  CHECK(hardware.findings() == "doubt xdp-generic\n");
  hardware.facts.node.links["eth0"].mtu = 9000;
  hardware.desired.state.xdp.attachments["eth0"].mode = model::XdpMode::native;
  CHECK(hardware.findings() == "");
  hardware.ours.xdp.attachments.clear();
  CHECK(hardware.findings() == "error xdp-mtu\n");
  Node unresolved("rs1");
  for (auto& [id, target] : unresolved.desired.state.xdp.servers)
    target.mac = {};
  const auto found = unresolved.finding();
  CHECK(found.id == "steering-unresolved");
  CHECK(found.evidence ==
        std::vector<std::string>{"the Ethernet address of rs2 is not known on eth0"});
}

TEST_CASE("doctor: the answers' device takes longer packets than the clients'") {
  Node node("rs1");
  node.facts.node.links["eth1"].mtu = 9000;
  node.facts.next_hops[doctor::far_client(model::Family::v4)] = {"eth1", ip("10.0.0.1")};
  CHECK(node.finding().id == "mtu-smaller");
  node.facts.node.links["eth0"].mtu = 9000;
  CHECK(node.findings() == "");
}

TEST_CASE("doctor: another node runs by another file, or by the same and another key") {
  Node node("rs1");
  const model::CidKey key({1}), other({2});
  for (auto& [place, service] : node.desired.state.xdp.services)
    service.cids.at(0).key = key;
  node.facts.config_hash = "0123456789abcdef";
  model::Peer& peer = node.facts.peers["rs2"];
  peer.place = {ip("192.0.2.12"), Port{9476}};
  peer.config_hash = "0123456789abcdef";
  CHECK(node.findings() == "");
  peer.key_checks[{"192.0.2.100:443", 0}] = key.check();
  peer.key_checks[{"192.0.2.100:8443", 0}] = other.check();
  CHECK(node.findings() == "");
  peer.key_checks[{"192.0.2.100:443", 0}] = other.check();
  CHECK(node.finding().id == "peer-key-differs");
  peer.config_hash = "fedcba9876543210";
  const auto found = node.finding();
  CHECK(found.id == "peer-differs");
  CHECK(found.evidence[0] ==
        "the daemon of rs2 runs by a file with hash fedcba9876543210 "
        "(http://192.0.2.12:9476/metrics), this one has 0123456789abcdef");
}

TEST_CASE("doctor: what apply would do is what is wrong") {
  Node node("rs1");
  const auto pending = [&](model::Action action) {
    node.pending = {{model::Phase::set_sysctl, std::move(action), model::Reason::differs}};
    const auto found = node.finding();
    CHECK(found.mend == "lbctl apply does it");
    CHECK(found.fix.empty());
    return found.id;
  };
  CHECK(pending(model::SetSysctl{"net/ipv4/conf/all/arp_ignore", "0", "1"}) == "arp-ignore");
  CHECK(pending(model::SetSysctl{"net/mptcp/enabled", "0", "1"}) == "mptcp-disabled");
  CHECK(node.ticks() == "no yes yes elsewhere elsewhere");
  CHECK(pending(model::SetSysctl{"net/mptcp/allow_join_initial_addr_port", "1", "0"}) == "c-flag");
  CHECK(node.ticks() == "yes no yes elsewhere elsewhere");
  CHECK(pending(model::SetSysctl{"net/mptcp/stale_loss_cnt", "4", "5"}) == "sysctl-differs");
  CHECK(pending(model::AddAddress{{"lo", ip("192.0.2.100"), 32}, {}}) == "vip-missing");
  CHECK(pending(model::AddAddress{{"lo", ip("192.0.2.111"), 32}, {}}) == "signal-address-missing");
  CHECK(pending(model::AddEndpoint{{ip("192.0.2.111"), Port{}}, {}}) == "endpoint-missing");
  CHECK(node.ticks() == "yes yes no elsewhere elsewhere");
  CHECK(pending(model::CreateForward{}) == "guard-missing");
  CHECK(pending(model::AttachXdp{"eth0", {}, {}}) == "steering-missing");
  CHECK(pending(model::RemoveEndpoint{{ip("192.0.2.119"), Port{}}, {}}) == "left-over");
}

TEST_CASE("doctor: what could not be read is a finding, and nothing else is said of it") {
  Node node("rs1");
  node.facts.unread.push_back(
      {"mptcp-unread", "MPTCP", Error(Errc::unsupported, "no MPTCP").with_hint("CONFIG_MPTCP")});
  node.pending = {{model::Phase::add_endpoint, model::AddEndpoint{{ip("192.0.2.111"), Port{}}, {}},
                   model::Reason::not_in_kernel}};
  node.ours.mptcp.endpoints.clear();
  CHECK(node.finding().mend == "CONFIG_MPTCP");
  CHECK(node.ticks() == "yes yes no elsewhere elsewhere");
}
