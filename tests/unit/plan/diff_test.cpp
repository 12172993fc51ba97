#include "lbctl/plan/diff.hpp"

#include <doctest/doctest.h>

#include "lbctl/plan/render.hpp"

using namespace lbctl;
using namespace lbctl::model;

namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

const ServiceKey web{ip("192.0.2.10"), L4::tcp, Port{80}};
const DestinationKey a{ip("10.0.0.5"), Port{80}};
const DestinationKey b{ip("10.0.0.6"), Port{80}};

VirtualService mh(std::map<DestinationKey, Destination> destinations) {
  return {.scheduler = "mh",
          .flags = {.sched1 = true, .sched2 = true},
          .destinations = std::move(destinations)};
}

Destination weighing(std::uint16_t weight) {
  return {.weight = Weight{weight}};
}

std::string plan_text(const NodeState& want, const NodeState& have) {
  return plan::render(plan::diff(want, have));
}

}  // namespace

TEST_CASE("plan: a changed weight is updated in place, not re-created") {
  NodeState want, have;
  want.ipvs = {{web, mh({{a, weighing(3)}})}};
  have.ipvs = {{web, mh({{a, weighing(1)}})}};
  CHECK(plan_text(want, have) == "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  weight 1 -> 3\n");
}

TEST_CASE("plan: a destination is added before another is removed") {
  NodeState want, have;
  want.ipvs = {{web, mh({{b, weighing(1)}})}};
  have.ipvs = {{web, mh({{a, weighing(1)}})}};
  CHECK(plan_text(want, have) ==
        "+ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  dr weight 1\n"
        "- ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  (not in the file)\n");
}

TEST_CASE("plan: a new scheduler edits the service and leaves its destinations alone") {
  NodeState want, have;
  want.ipvs = {{web, mh({{a, weighing(1)}})}};
  have.ipvs = {{web, {.scheduler = "rr", .destinations = {{a, weighing(1)}}}}};
  CHECK(plan_text(want, have) ==
        "~ ipvs tcp 192.0.2.10:80  scheduler rr -> scheduler mh (mh-fallback, mh-port)\n");
}

TEST_CASE("plan: on a director the VIP comes after everything that serves it, and goes first") {
  NodeState full;
  full.ipvs = {{web, mh({{a, weighing(1)}})}};
  full.addresses = {{{"eth0", web.address, 32}, {rtnl_protocol, true}}};
  full.nft.forward =
      SignalForward{{"eth0"}, "eth0", {{{ip("192.0.2.111")}, {ip("10.0.0.5"), true}}}};
  CHECK(plan_text(full, {}) ==
        "+ ipvs tcp 192.0.2.10:80  scheduler mh (mh-fallback, mh-port)\n"
        "+ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  dr weight 1\n"
        "+ nft table netdev lbctl  ingress of eth0, out by eth0\n"
        "+ nft signal 192.0.2.111  10.0.0.5 join-only\n"
        "+ address 192.0.2.10/32 dev eth0  announced\n");
  CHECK(plan_text({}, full) ==
        "- address 192.0.2.10/32 dev eth0  (not in the file)\n"
        "- nft table netdev lbctl  (not in the file)\n"
        "- ipvs tcp 192.0.2.10:80  (not in the file)\n");
}

TEST_CASE(
    "plan: on a real server ARP is silenced before the VIP stands, and steering attaches last") {
  NodeState want, have;
  have.sysctls = {{"net/ipv4/conf/all/arp_ignore", "0"}};
  want.sysctls = {{"net/ipv4/conf/all/arp_ignore", "1"}};
  want.addresses = {{{"lo", ip("192.0.2.10"), 32}, {rtnl_protocol, false}}};
  want.mptcp.endpoints = {{{ip("192.0.2.111"), Port{0}}, {.signal = true}}};
  want.xdp.services = {{{ip("192.0.2.10"), Port{443}}, {{CidScheme{}}}}};
  want.xdp.servers = {{ServerId{1}, {.local = true}}, {ServerId{2}, {}}};
  want.xdp.attachments = {{"eth0", {XdpMode::automatic, "abc"}}};
  CHECK(plan_text(want, have) ==
        "~ sysctl net.ipv4.conf.all.arp_ignore  0 -> 1\n"
        "+ xdp steer 192.0.2.10:443  quic-lb config 0 id 2 nonce 6 octets\n"
        "+ xdp server id 1  here\n"
        "+ xdp server id 2  unresolved\n"
        "+ address 192.0.2.10/32 dev lo\n"
        "+ mptcp endpoint 192.0.2.111  signal\n"
        "+ xdp program dev eth0  automatic program abc\n");
}

TEST_CASE("plan: connection IDs are described by scheme, and keys by their check value alone") {
  const CidKey key({0x8f, 0x95, 0xf0, 0x92, 0x45, 0x76, 0x5f, 0x80, 0x25, 0x69, 0x34, 0xe5, 0x0c,
                    0x66, 0x20, 0x7f});
  CidScheme encrypted{.config = 1, .nonce_length = 14, .encrypted = true};
  const SteeredService old_key{{encrypted}};
  encrypted.key = key;
  NodeState want, have;
  const SteeredKey web{ip("192.0.2.10"), Port{443}};
  have.xdp.services[web] = old_key;
  want.xdp.services[web] = {{encrypted,
                             {.format = CidFormat::msquic},
                             {.format = CidFormat::katran, .version = 2},
                             {.id_length = 3, .format = CidFormat::dpvs},
                             {.format = CidFormat::raw, .offset = 8, .length = 20}},
                            true,
                            true};
  CHECK(
      plan_text(want, have) ==
      "~ xdp steer 192.0.2.10:443  quic-lb config 1 id 2 nonce 14 octets encrypted -> quic-lb "
      "config 1 id 2 nonce 14 octets encrypted (key check d59d5b); msquic; katran version 2; dpvs "
      "ipv4; raw offset 8 id 2 of 20 octets; long headers kept; unknown ids dropped\n");
}

TEST_CASE("plan: a broken table is made anew in one piece, a changed element alone") {
  const ForwardTarget to_a{ip("10.0.0.5"), true};
  const ForwardTarget to_b{ip("10.0.0.6"), true};
  NodeState want, have;
  want.nft.forward = SignalForward{{"eth0"}, "eth0", {{{ip("192.0.2.111")}, to_b}}};
  have.nft.forward = SignalForward{{"eth0"}, "eth0", {{{ip("192.0.2.111")}, to_a}}};
  CHECK(plan_text(want, have) ==
        "~ nft signal 192.0.2.111  10.0.0.5 join-only -> 10.0.0.6 join-only\n");
  have.nft.intact = false;
  CHECK(plan_text(want, have) ==
        "~ nft table netdev lbctl  ingress of eth0, out by eth0\n"
        "+ nft signal 192.0.2.111  10.0.0.6 join-only\n");
}

TEST_CASE(
    "plan: an endpoint with other flags is removed before it is added: the kernel holds one") {
  const EndpointKey key{ip("192.0.2.111"), Port{0}};
  NodeState want, have;
  want.mptcp.endpoints = {{key, {.signal = true}}};
  have.mptcp.endpoints = {{key, {.signal = true, .device = "eth0", .id = 3}}};
  CHECK(plan_text(want, have) ==
        "- mptcp endpoint 192.0.2.111\n"
        "+ mptcp endpoint 192.0.2.111  signal\n");
}

TEST_CASE("plan: settings go back to what they were, limits too") {
  NodeState have;
  have.sysctls = {{"net/mptcp/enabled", "1"}, {"net/ipv4/conf/all/arp_ignore", "1"}};
  have.mptcp.limits = MptcpLimits{8, 8};
  const plan::Before before{{{"net/ipv4/conf/all/arp_ignore", "0"}, {"net/gone", "1"}},
                            MptcpLimits{2, 0}};
  CHECK(plan::render(plan::diff({}, have, before, Reason::going_down)) ==
        "~ sysctl net.ipv4.conf.all.arp_ignore  1 -> 0  (going down)\n"
        "~ mptcp limits  subflows 8 add_addr_accepted 8 -> subflows 2 add_addr_accepted 0  "
        "(going down)\n");
}

TEST_CASE("plan: what equals what stands needs nothing, whatever ids and modes the kernel chose") {
  NodeState want, have;
  want.xdp.attachments = {{"eth0", {XdpMode::automatic, "abc"}}};
  have.xdp.attachments = {{"eth0", {XdpMode::generic, "abc"}}};
  want.mptcp.endpoints = {{{ip("192.0.2.111"), Port{0}}, {.signal = true}}};
  have.mptcp.endpoints = {{{ip("192.0.2.111"), Port{0}}, {.signal = true, .id = 7}}};
  CHECK(plan_text(want, have).empty());
  have.xdp.attachments = {{"eth0", {XdpMode::generic, "older"}}};
  CHECK(plan_text(want, have) ==
        "~ xdp program dev eth0  generic program older -> automatic program abc\n");
}

TEST_CASE("plan: JSON tells the change, the values and the reason") {
  NodeState want, have;
  want.ipvs = {{web, mh({{a, weighing(3)}})}};
  have.ipvs = {{web, mh({{a, weighing(1)}})}};
  CHECK(plan::to_json(plan::diff(want, have)).dump() ==
        R"([{"change":"change","subsystem":"ipvs","object":"tcp 192.0.2.10:80 -> 10.0.0.5:80",)"
        R"("from":"weight 1","to":"weight 3","reason":"differs"}])");
}

TEST_CASE(
    "plan: the way of forwarding and the limits change in place; another port is another server") {
  const DestinationKey mapped{ip("10.0.0.5"), Port{8080}};
  const Destination tunnelled{.weight = Weight{1},
                              .forward = Forward::tunnel,
                              .tunnel = {TunnelType::gue, Port{6080}, TunnelChecksum::full}};
  NodeState want, have;
  have.ipvs = {{web, mh({{a, weighing(1)}, {b, tunnelled}})}};
  want.ipvs = {{web, mh({{a, {Weight{1}, Forward::masquerade, 10, 5}}, {b, weighing(1)}})}};
  CHECK(
      plan_text(want, have) ==
      "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  dr weight 1 -> masquerade weight 1 upper 10 lower "
      "5\n"
      "~ ipvs tcp 192.0.2.10:80 -> 10.0.0.6:80  tunnel gue port 6080 checksum full weight 1 -> dr "
      "weight 1\n");
  have.ipvs = {{web, mh({{a, {Weight{1}, Forward::masquerade}}})}};
  want.ipvs = {{web, mh({{mapped, {Weight{1}, Forward::masquerade}}})}};
  CHECK(plan_text(want, have) ==
        "+ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:8080  masquerade weight 1\n"
        "- ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  (not in the file)\n");
}
