#include <fmt/format.h>

#include <algorithm>

#include "cluster.hpp"

namespace lbctl::random {

namespace {

using Texts = std::vector<std::string>;

// Few addresses and ports, so that two files often speak of the same ones.
const Texts vips_v4 = {"192.0.2.200", "192.0.2.201", "192.0.2.202", "192.0.2.203"};
const Texts vips_v6 = {"2001:db8:100::200", "2001:db8:100::201", "2001:db8:100::202"};
const std::vector<int> ports = {53, 80, 443, 8080, 65535};
const std::vector<int> weights = {0, 1, 1, 5, 10, 10, 100, 65535};

void some_vips(Random& random, Service& service) {
  const int families = random.between(1, 3);
  const auto add = [&](const Texts& pool) {
    for (int left = random.chance(20) ? 2 : 1; left > 0; --left)
      if (const std::string& vip = random.pick(pool);
          std::ranges::find(service.vips, vip) == service.vips.end())
        service.vips.push_back(vip);
  };
  if (families != 2) add(vips_v4);
  if (families != 1) add(vips_v6);
}

void some_forwarding(Random& random, Service& service) {
  if (random.chance(50)) service.forward = random.pick(Texts{"dr", "masquerade", "tunnel"});
  if (service.forward == "tunnel" && random.chance(70))
    service.tunnel = random.pick(
        Texts{"{ type = \"ipip\" }", "{ type = \"gue\", checksum = \"remote\" }",
              "{ type = \"gue\", port = 6090 }", "{ type = \"gre\", checksum = \"full\" }"});
  if (random.chance(50)) service.server_port = random.pick(ports);
  if (random.chance(20)) service.uthreshold = random.between(2, 100);
  if (service.uthreshold != 0 && random.chance(50))
    service.lthreshold = random.between(1, service.uthreshold - 1);
  service.one_packet = random.chance(20);
  service.notrack = random.chance(20);
  if (!service.persistence.empty() && random.chance(40))
    service.netmask = random.pick(Texts{"{ ipv4 = 24 }", "{ ipv4 = 16, ipv6 = 56 }"});
}

void some_settings(Random& random, Service& service) {
  service.scheduler = random.pick(Texts{"rr", "wlc", "mh", "mh", "sh"});
  for (const char* flag : {"-fallback", "-port"})
    if (random.chance(50)) service.flags.insert(service.scheduler + flag);
  if (random.chance(25)) service.persistence = random.pick(Texts{"60s", "5m", "1h", "31d"});
  some_forwarding(random, service);
  service.join_only = random.chance(70);
  if (random.chance(30)) service.port_base = random.pick(std::vector<int>{20000, 20100});
  service.cid_config = random.between(0, 6);
  service.id_length = random.between(1, 4);
  service.nonce_length = random.between(4, 18);
}

}  // namespace

Service any_service(Random& random, const Cluster& cluster) {
  Service out;
  for (int n = 0;; ++n) {
    out.name = fmt::format("{}{}", random.pick(Texts{"web", "dns.", "q_", "x-"}), n);
    if (std::ranges::find(cluster.services, out.name, &Service::name) == cluster.services.end())
      break;
  }
  some_vips(random, out);
  for (int left = random.between(1, 3); left > 0; --left)
    out.ports.insert(random.pick(ports));
  if (random.chance(25)) {
    out.mark = static_cast<unsigned>(random.between(1, 4));
    if (random.chance(60))
      out.ranges.insert(random.pick(std::vector<std::pair<int, int>>{
          {0, 65535}, {8000, 8100}, {8050, 9000}, {1, 100}, {400, 500}}));
  }
  if (random.chance(75)) out.protocols.insert(random.chance(60) ? "mptcp" : "tcp");
  if (out.protocols.empty() || random.chance(45))
    out.protocols.insert(random.chance(60) ? "quic" : "udp");
  some_settings(random, out);
  const bool plain = random.chance(30);
  for (const Server& server : cluster.servers)
    if (random.chance(70)) out.servers[server.name()] = plain ? 1 : random.pick(weights);
  for (const auto& [name, weight] : out.servers)
    if (random.chance(10))
      out.extras[name] = random.pick(
          Texts{"port = 8081", "uthreshold = 7, lthreshold = 0", "uthreshold = 200, port = 8082"});
  return out;
}

Server any_server(Random& random, int number) {
  Server out;
  out.number = number;
  const int families = random.between(1, 10);
  out.v4 = families != 1;
  out.v6 = families != 2;
  out.id = static_cast<std::uint64_t>(random.chance(80) ? number : 70000 + number);
  if (random.chance(10)) out.interface = "eth1";
  if (random.chance(15)) return out;
  // At most three each, so that those of two servers fit in the kernel's 8 with a foreign one: an
  // address may go from one to the other, and stays on the first as long as it is used.
  if (out.v4) out.signal.push_back(fmt::format("192.0.2.{}", 110 + number));
  if (out.v4 && random.chance(20)) out.signal.push_back(fmt::format("192.0.2.{}", 130 + number));
  if (out.v6) out.signal.push_back(fmt::format("2001:db8:100::{}", 110 + number));
  return out;
}

void any_node_settings(Cluster& cluster, Random& random) {
  const auto some = [&random](const std::vector<Texts>& choices) {
    std::vector<std::string> out;
    for (const Texts& values : choices)
      if (random.chance(30)) out.push_back(random.pick(values));
    return out;
  };
  cluster.mptcp = some({{"checksum = true", "checksum = false"},
                        {"add_addr_timeout = \"0s\"", "add_addr_timeout = \"1m\""},
                        {"stale_loss_cnt = 2", "stale_loss_cnt = 9"}});
  cluster.ipvs = some({{"timeout_tcp = \"1h\"", "timeout_tcp = \"15m\"", "timeout_tcp = \"1s\""},
                       {"timeout_tcp_fin = \"30s\"", "timeout_tcp_fin = \"2m\""},
                       {"timeout_udp = \"10s\"", "timeout_udp = \"24d\""}});
  cluster.ipvs_sysctl = some({{"conn_reuse_mode = 0", "conn_reuse_mode = 2"},
                              {"expire_nodest_conn = 0"},
                              {"conntrack = 1"},
                              {"drop_entry = 1", "drop_entry = 3"},
                              {"sync_ports = 1", "sync_ports = 4"},
                              {"sync_threshold = [3, 50]", "sync_threshold = [0, 0]"}});
  cluster.ipvs_sync.reset();
  if (random.chance(40))
    cluster.ipvs_sync = some({{"interface = \"eth1\""},
                              {"id = 1", "id = 255"},
                              {"maxlen = 1400"},
                              {"group = \"ff02::81\"", "group = \"224.0.0.82\""},
                              {"port = 9000"},
                              {"ttl = 3"}});
  for (Director& director : cluster.directors)
    director.sync = random.pick(Texts{"", "", "master", "backup"});
}

Cluster any_cluster(Random& random) {
  Cluster out;
  for (int number = 1, last = random.between(1, 2); number <= last; ++number) {
    Director director{.number = number};
    if (random.chance(10)) director.interface = "eth1";
    if (random.chance(40))
      director.client_interfaces =
          random.pick(std::vector<Texts>{{"eth0"}, {"eth1"}, {"eth0", "eth1"}});
    if (random.chance(50)) director.vip_on = random.pick(Texts{"interface", "loopback", "none"});
    out.directors.push_back(std::move(director));
  }
  for (int number = 1, last = random.between(1, 6); number <= last; ++number)
    out.servers.push_back(any_server(random, number));
  for (int left = random.between(0, 8); left > 0; --left)
    out.services.push_back(any_service(random, out));
  if (random.chance(40)) out.limits = Limits{random.between(0, 8), random.between(0, 8)};
  if (random.chance(40)) out.drain_tcp = random.pick(Texts{"1s", "30s", "1h", "7d"});
  if (random.chance(40)) out.drain_udp = random.pick(Texts{"1s", "10s", "4m"});
  any_node_settings(out, random);
  repair(out);
  return out;
}

Pair any_pair(std::uint64_t seed) {
  Random random(seed);
  const Cluster first = any_cluster(random);
  const Cluster second = random.chance(50) ? changed(first, random) : any_cluster(random);
  const std::string text = first.text(random);
  return {text, second.text(random)};
}

}  // namespace lbctl::random
