// Written with our code and read with ip(8), and the other way round; announcements as the peer
// of a veth gets them.
#include <doctest/doctest.h>

#include "lbctl/kernel/rtnl.hpp"

#include "lbctl/kernel/facts.hpp"
#include "namespace.hpp"
#include "rtnl_capture.hpp"

namespace {

using namespace lbctl;
using tests::Capture;
using tests::Frame;
using tests::hex;
using tests::Inside;
using tests::Namespace;
using tests::run;
using tests::try_run;

model::IpAddress ip(const char* text) {
  return model::IpAddress::parse(text).value();
}

model::AddressKey key(const char* device, const char* address) {
  const auto parsed = ip(address);
  return {.device = device, .address = parsed, .prefix = parsed.full_prefix()};
}

model::AddAddress adding(const model::AddressKey& where, bool announce = false) {
  return {.key = where, .settings = {.protocol = model::rtnl_protocol, .announce = announce}};
}

/// A namespace, whose eth0 is linked with eth0 of another, and the backend in it.
struct Node {
  Namespace ns, peer;
  Inside inside{ns};
  std::unique_ptr<kernel::Backend> backend = std::move(kernel::open_rtnl().value());

  Node() {
    run("ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address "
        "02:00:00:00:00:02 netns " +
        peer.path() + " && sysctl -qw net.ipv6.conf.eth0.accept_dad=0 && ip link set eth0 up");
    {
      const Inside there(peer);
      run("sysctl -qw net.ipv6.conf.eth0.accept_dad=0 && ip link set eth0 up");
    }
    // Frames are lost until the kernel's link watch has seen the carrier.
    run("for i in $(seq 250); do ip link show eth0 | grep -q 'state UP' && exit; sleep 0.02; done; "
        "false");
  }
  std::map<model::AddressKey, model::AddressSettings> observe() {
    model::Observed seen;
    const auto read = backend->observe(model::Scope{}, seen);
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    return seen.state.addresses;
  }
  kernel::Outcome execute(std::vector<model::Action> actions) {
    std::vector<model::Operation> operations;
    for (auto& action : actions)
      operations.push_back({.phase = model::Phase::add_address,
                            .action = std::move(action),
                            .why = model::Reason::not_in_kernel});
    return backend->execute(operations);
  }
  void must(std::vector<model::Action> actions) {
    const auto outcome = execute(std::move(actions));
    REQUIRE_MESSAGE(!outcome.error, (outcome.error ? outcome.error->text() : ""));
  }
};

}  // namespace

TEST_CASE("rtnl: added by us, read by ip; removed by us, nothing is left") {
  Node node;
  const std::string before = run("ip addr; ip route show table all");
  const auto v4 = key("lo", "192.0.2.100"), v6 = key("lo", "2001:db8:100::100"),
             on_eth = key("eth0", "192.0.2.100"), v6_on_eth = key("eth0", "2001:db8:100::111");
  node.must({adding(v4), adding(v6), adding(on_eth), adding(v6_on_eth)});
  CHECK(run("ip -o addr show dev lo").find("inet 192.0.2.100/32 scope host lo") !=
        std::string::npos);
  CHECK(run("ip -o addr show dev eth0").find("inet 192.0.2.100/32 scope global eth0") !=
        std::string::npos);
  const std::string eth0 = run("ip -o -6 addr show dev eth0");
  CHECK_MESSAGE(
      eth0.find("inet6 2001:db8:100::111/128 scope global nodad deprecated") != std::string::npos,
      eth0);
  CHECK(eth0.find("valid_lft forever preferred_lft 0sec") != std::string::npos);
  const auto seen = node.observe();
  for (const auto& one : {v4, v6, on_eth, v6_on_eth}) {
    REQUIRE(seen.contains(one));
    CHECK(seen.at(one).protocol == model::rtnl_protocol);
  }
  node.must({model::RemoveAddress{v6_on_eth}, model::RemoveAddress{on_eth},
             model::RemoveAddress{v6}, model::RemoveAddress{v4}});
  CHECK(run("ip addr; ip route show table all") == before);
}

TEST_CASE("rtnl: added by ip, read by us as foreign, with any prefix") {
  Node node;
  run("ip addr add 192.0.2.10/24 dev eth0; ip addr add 2001:db8::10/64 dev eth0");
  run("ip addr add 10.0.0.1 peer 10.0.0.2/32 dev eth0");
  const auto seen = node.observe();
  const model::AddressKey v4{.device = "eth0", .address = ip("192.0.2.10"), .prefix = 24};
  const model::AddressKey v6{.device = "eth0", .address = ip("2001:db8::10"), .prefix = 64};
  REQUIRE(seen.contains(v4));
  CHECK(seen.at(v4).protocol == 0);
  CHECK(seen.contains(v6));
  CHECK(seen.contains(key("eth0", "10.0.0.1")));
  CHECK(!seen.contains(key("eth0", "10.0.0.2")));
  CHECK(seen.contains({.device = "lo", .address = ip("127.0.0.1"), .prefix = 8}));
}

TEST_CASE("rtnl: an address that lbctl did not make is not removed, nor taken over") {
  Node node;
  run("ip addr add 192.0.2.100/32 dev eth0");
  const auto vip = key("eth0", "192.0.2.100");
  const auto removed = node.execute({model::RemoveAddress{vip}});
  REQUIRE(removed.error);
  CHECK(removed.error->code() == Errc::conflict);
  CHECK(removed.error->text() ==
        "rtnl: remove 192.0.2.100/32 dev eth0: it is not lbctl's (protocol 0, not 76)");
  const auto added = node.execute({adding(vip)});
  REQUIRE(added.error);
  CHECK(added.error->code() == Errc::conflict);
  CHECK(added.error->sys() == EEXIST);
  CHECK(node.observe().at(vip).protocol == 0);
}

TEST_CASE("rtnl: removing matches device, address and prefix exactly") {
  Node node;
  const auto vip = key("eth0", "192.0.2.100");
  node.must({adding(vip)});
  auto other = vip;
  other.prefix = 24;
  for (const auto& wrong : {other, key("lo", "192.0.2.100"), key("eth0", "192.0.2.101")}) {
    const auto outcome = node.execute({model::RemoveAddress{wrong}});
    REQUIRE(outcome.error);
    CHECK(outcome.error->code() == Errc::not_found);
  }
  CHECK(node.observe().contains(vip));
}

TEST_CASE("rtnl: the first failure stops the run, names the object and says what mends it") {
  Node node;
  const auto good = key("eth0", "192.0.2.100");
  const auto outcome = node.execute(
      {adding(good), adding(key("eth7", "192.0.2.101")), adding(key("eth0", "192.0.2.102"))});
  CHECK(outcome.done == 1);
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() ==
        "rtnl: add 192.0.2.101/32 dev eth7: there is no device eth7: No such device (ENODEV)");
  CHECK(node.observe().contains(good));
  CHECK(!node.observe().contains(key("eth0", "192.0.2.102")));

  run("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
  const auto disabled = node.execute({adding(key("eth0", "2001:db8::1"))});
  REQUIRE(disabled.error);
  CHECK(disabled.error->hint() == "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0");
  CHECK(disabled.error->text().find("IPv6 is disabled on this device") != std::string::npos);
}

TEST_CASE("rtnl: that the device of a new address is down is said, with the mend") {
  Node node;
  run("ip link set lo down");
  const auto outcome = node.execute({adding(key("lo", "192.0.2.100"))});
  CHECK(!outcome.error);
  REQUIRE(outcome.notes.size() == 1);
  CHECK(outcome.notes[0] ==
        "192.0.2.100/32 dev lo: the device is down, the node cannot use the address; "
        "mend: ip link set lo up");
  // The kernel lists the local route all the same (6.18), but nothing gets through.
  CHECK(try_run("ping -c1 -W0.2 192.0.2.100").find("100% packet loss") != std::string::npos);
  run("ip link set lo up && ping -c1 192.0.2.100");
}

TEST_CASE("rtnl: a new VIP is announced by gratuitous ARP, as request and as reply") {
  Node node;
  std::optional<Capture> capture;
  {
    const Inside there(node.peer);
    capture.emplace("eth0");
  }
  node.must({adding(key("eth0", "192.0.2.100"), true)});
  const Frame request =
      hex("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 "
          "020000000001 c0000264 000000000000 c0000264");
  const Frame reply =
      hex("ffffffffffff 020000000001 0806 0001 0800 06 04 0002 "
          "020000000001 c0000264 020000000001 c0000264");
  CHECK(capture->next([&](const Frame& frame) { return frame == request; }));
  CHECK(capture->next([&](const Frame& frame) { return frame == reply; }));
}

TEST_CASE("rtnl: a new IPv6 VIP is announced, and a neighbour takes the new MAC") {
  Node node;
  {
    const Inside there(node.peer);
    run("ip addr add 2001:db8::2/64 dev eth0 nodad");
    // The entry of whoever had the VIP before.
    run("ip neigh add 2001:db8::100 lladdr 02:00:00:00:00:99 nud stale dev eth0");
  }
  std::optional<Capture> capture;
  {
    const Inside there(node.peer);
    capture.emplace("eth0");
  }
  node.must({adding(key("eth0", "2001:db8::100"), true)});
  const auto seen = capture->next([](const Frame& frame) {
    return frame.size() == 86 && frame[12] == 0x86 && frame[54] == 136;
  });
  REQUIRE(seen);
  CHECK((*seen)[21] == 255);  // hop limit
  const Inside there(node.peer);
  // The kernel believes it only if checksum, hop limit and override flag are right.
  CHECK(run("ip neigh show 2001:db8::100").find("02:00:00:00:00:01") != std::string::npos);
}

TEST_CASE("rtnl: what cannot be announced is added all the same, with a note") {
  Node node;
  const auto outcome = node.execute({adding(key("lo", "192.0.2.100"), true)});
  CHECK(!outcome.error);
  REQUIRE(outcome.notes.size() == 1);
  CHECK(outcome.notes[0] == "192.0.2.100/32 dev lo: not announced: the device has no neighbours");
}

TEST_CASE("facts: devices, addresses and neighbours are those that ip shows") {
  Node node;
  run("ip addr add 192.0.2.10/24 dev eth0; ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev "
      "eth0; ip link add br0 type bridge");
  const auto facts = kernel::read_facts();
  REQUIRE(facts.has_value());
  const auto& eth0 = facts->links.at("eth0");
  CHECK(std::to_string(eth0.index) + "\n" == run("cat /sys/class/net/lo/ifindex >/dev/null; ip -o "
                                                 "link show eth0 | cut -d: -f1"));
  CHECK(eth0.mac.text() == "02:00:00:00:00:01");
  CHECK(eth0.kind == "veth");
  CHECK(eth0.up);
  CHECK(facts->links.at("br0").kind == "bridge");
  CHECK(!facts->links.at("br0").up);
  CHECK(facts->links.at("lo").kind.empty());
  CHECK(facts->local_addresses.contains(ip("192.0.2.10")));
  CHECK(facts->local_addresses.contains(ip("::1")));
  CHECK(facts->neighbours.at(ip("192.0.2.77")).text() == "02:00:00:00:00:77");
  CHECK(facts->host_name + "\n" == run("uname -n"));
}

TEST_CASE("facts: neighbours are resolved, v4 and v6; who does not answer is left out") {
  Node node;
  run("ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad");
  {
    const Inside there(node.peer);
    run("ip addr add 192.0.2.2/24 dev eth0; ip addr add 2001:db8::2/64 dev eth0 nodad");
  }
  CHECK(kernel::read_facts()->neighbours.count(ip("192.0.2.2")) == 0);
  const std::set<model::IpAddress> there{ip("192.0.2.2"), ip("2001:db8::2")};
  const auto found = kernel::resolve_neighbours("eth0", there, std::chrono::seconds(5));
  REQUIRE(found.has_value());
  REQUIRE(found->size() == 2);
  for (const auto& [address, mac] : *found)
    CHECK(mac.text() == "02:00:00:00:00:02");
  CHECK(kernel::read_facts()->neighbours.contains(ip("2001:db8::2")));

  const auto nobody = kernel::resolve_neighbours("eth0", {ip("192.0.2.2"), ip("192.0.2.3")},
                                                 std::chrono::milliseconds(100));
  REQUIRE(nobody.has_value());
  CHECK(nobody->size() == 1);
  const auto no_device = kernel::resolve_neighbours("eth7", there, std::chrono::milliseconds(100));
  REQUIRE(!no_device.has_value());
  CHECK(no_device.error().code() == Errc::not_found);
}
