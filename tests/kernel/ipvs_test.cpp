// The IPVS backend against ipvsadm, in both directions.
#include "ipvs_fixture.hpp"

using namespace lbctl::model;
using namespace lbctl::tests;

namespace {

VirtualService settings(const char* scheduler, ServiceFlags flags = {}, std::uint32_t timeout = 0,
                        std::uint8_t prefix = 32) {
  return {.scheduler = scheduler,
          .flags = flags,
          .persistence_timeout = timeout,
          .persistence_prefix = prefix,
          .destinations = {}};
}

// The same state in both languages.
const std::string as_ipvsadm =
    "-A -f 7 -s wlc\n"
    "-A -f 7 -6 -s rr\n"
    "-A -t 192.0.2.100:443 -s mh -p 300 -M 255.255.255.0 -b mh-fallback,mh-port\n"
    "-A -u 192.0.2.100:53 -s sh -o -b sh-port\n"
    "-A -u [2001:db8:100::100]:443 -s mh -p 60 -M 64\n"
    "-a -f 7 -6 -r [2001:db8:100::11]:0 -g -w 1\n"
    "-a -f 7 -r 192.0.2.11:0 -i -w 65535 --tun-type ipip\n"
    "-a -t 192.0.2.100:443 -r 192.0.2.11:443 -g -w 10\n"
    "-a -t 192.0.2.100:443 -r 192.0.2.12:443 -g -w 0\n"
    "-a -u 192.0.2.100:53 -r 192.0.2.11:5353 -m -w 3\n"
    "-a -u [2001:db8:100::100]:443 -r [2001:db8:100::11]:443 -g -w 10\n";

IpvsState as_model() {
  IpvsState out;
  auto& mark4 = out[mark("0.0.0.0", 7)] = settings("wlc");
  mark4.destinations[to("192.0.2.11", 0)] = weighing(65535, Forward::tunnel);
  auto& mark6 = out[mark("::", 7)] = settings("rr", {}, 0, 128);
  mark6.destinations[to("2001:db8:100::11", 0)] = weighing(1);
  auto& web = out[service("192.0.2.100", 443)] =
      settings("mh", {.persistent = true, .sched1 = true, .sched2 = true}, 300, 24);
  web.destinations[to("192.0.2.11", 443)] = weighing(10);
  web.destinations[to("192.0.2.12", 443)] = weighing(0);
  auto& dns = out[service("192.0.2.100", 53, L4::udp)] =
      settings("sh", {.one_packet = true, .sched2 = true});
  dns.destinations[to("192.0.2.11", 5353)] = weighing(3, Forward::masquerade);
  auto& quic = out[service("2001:db8:100::100", 443, L4::udp)] =
      settings("mh", {.persistent = true}, 60, 64);
  quic.destinations[to("2001:db8:100::11", 443)] = weighing(10);
  return out;
}

std::vector<Operation> adding(const IpvsState& state) {
  std::vector<Operation> out;
  for (const auto& [key, virtual_service] : state) {
    out.push_back(op(AddService{key, virtual_service}));
    for (const auto& [destination, how] : virtual_service.destinations)
      out.push_back(op(AddDestination{key, destination, how}));
  }
  return out;
}

}  // namespace

TEST_CASE("ipvs: ipvsadm lists what we add") {
  IpvsNamespace node;
  const auto out = node.execute(adding(as_model()));
  CHECK(text(out) == "done");
  CHECK(out.done == 11);
  CHECK(out.notes.empty());
  CHECK(sorted(run("ipvsadm -Sn")) == sorted(as_ipvsadm));
}

TEST_CASE("ipvs: we read what ipvsadm adds") {
  IpvsNamespace node;
  CHECK(node.observe().state.ipvs.empty());
  run("ipvsadm -R <<'EOF'\n" + as_ipvsadm + "EOF");
  const auto seen = node.observe();
  CHECK(seen.state.ipvs == as_model());
  CHECK(seen.ipvs_counters.size() == 6);
  CHECK(seen.ipvs_counters.at({service("192.0.2.100", 443), to("192.0.2.11", 443)}).connections ==
        0);
}

TEST_CASE("ipvs: services of other protocols and odd weights do not disturb reading") {
  IpvsNamespace node;
  run("ipvsadm -A --sctp-service 192.0.2.100:9 -s rr");
  run("ipvsadm -A -t 192.0.2.100:80 -s rr");
  run("ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -m -w 70000 -x 500 -y 400");
  const auto seen = node.observe().state.ipvs;
  REQUIRE(seen.size() == 1);
  const auto& destination =
      seen.at(service("192.0.2.100", 80)).destinations.at(to("192.0.2.11", 80));
  CHECK(number(destination.weight) == 65535);
  CHECK(destination.upper_threshold == 500);
  CHECK(destination.lower_threshold == 400);
}

TEST_CASE("ipvs: editing changes every setting in place and takes flags away") {
  IpvsNamespace node;
  const auto web = service("192.0.2.100", 443);
  const auto rs1 = to("192.0.2.11", 443);
  run("ipvsadm -A -t 192.0.2.100:443 -s mh -p 300 -M 255.255.255.0 -b mh-port,mh-fallback");
  run("ipvsadm -a -t 192.0.2.100:443 -r 192.0.2.11:443 -g -w 10");
  Destination changed = weighing(7, Forward::tunnel);
  changed.upper_threshold = 20;
  changed.lower_threshold = 10;
  const auto wanted = settings("sh", {.sched1 = true}, 0, 32);
  const auto out = node.execute(
      {op(EditService{web, {}, wanted}), op(EditDestination{web, rs1, weighing(10), changed})});
  CHECK(text(out) == "done");
  CHECK(run("ipvsadm -Sn") ==
        "-A -t 192.0.2.100:443 -s sh -b sh-fallback\n"
        "-a -t 192.0.2.100:443 -r 192.0.2.11:443 -i -w 7 --tun-type ipip\n");
  auto expected = wanted;
  expected.destinations[rs1] = changed;
  CHECK(node.observe().state.ipvs == IpvsState{{web, expected}});
}

TEST_CASE("ipvs: removing leaves what is foreign, and what is gone is done") {
  IpvsNamespace node;
  run("ipvsadm -R <<'EOF'\n" + as_ipvsadm + "EOF");
  const auto web = service("192.0.2.100", 443);
  const auto out = node.execute(
      {op(RemoveDestination{web, to("192.0.2.11", 443)}),
       op(RemoveDestination{web, to("192.0.2.99", 443)}), op(RemoveService{web}),
       op(RemoveService{service("192.0.2.100", 8443)}), op(RemoveService{mark("0.0.0.0", 7)}),
       op(RemoveService{service("192.0.2.100", 53, L4::udp)})});
  CHECK(text(out) == "done");
  CHECK(out.done == 6);
  CHECK(out.notes ==
        std::vector<std::string>{
            "remove destination 192.0.2.99:443 from tcp 192.0.2.100:443: was already gone",
            "remove service tcp 192.0.2.100:8443: was already gone"});
  CHECK(sorted(run("ipvsadm -Sn")) ==
        sorted("-A -f 7 -6 -s rr\n"
               "-a -f 7 -6 -r [2001:db8:100::11]:0 -g -w 1\n"
               "-A -u [2001:db8:100::100]:443 -s mh -p 60 -M 64\n"
               "-a -u [2001:db8:100::100]:443 -r [2001:db8:100::11]:443 -g -w 10\n"));
}

TEST_CASE("ipvs: hundreds of services in batches arrive whole and are read whole") {
  IpvsNamespace node;
  IpvsState wanted;
  for (int i = 0; i < 300; ++i) {
    auto& virtual_service = wanted[service("192.0.2.100", static_cast<std::uint16_t>(1000 + i))] =
        settings("wrr");
    for (int n = 1; n <= 10; ++n)
      virtual_service.destinations[to("10.0.0." + std::to_string(n), 443)] =
          weighing(static_cast<std::uint16_t>(i + n));
  }
  auto& wide = wanted[service("192.0.2.101", 443)] = settings("rr");
  for (int n = 0; n < 1000; ++n)  // its list takes several datagrams
    wide.destinations[to("10.1." + std::to_string(n / 250) + "." + std::to_string(1 + n % 250),
                         443)] = weighing(1);
  const auto out = node.execute(adding(wanted));
  CHECK(text(out) == "done");
  CHECK(out.done == 4301);
  const auto seen = node.observe();
  CHECK(seen.state.ipvs == wanted);
  CHECK(seen.ipvs_counters.size() == 4000);
  CHECK(run("ipvsadm -Sn | wc -l") == "4301\n");
}
