#include <algorithm>
#include <array>

#include "cluster.hpp"

namespace lbctl::random {

namespace {

using Change = void (*)(Cluster&, Random&);

template <class List>
auto& any_of(List& list, Random& random) {
  return list[random.below(list.size())];
}

void add_service(Cluster& cluster, Random& random) {
  if (cluster.services.size() < 8) cluster.services.push_back(any_service(random, cluster));
}

void remove_service(Cluster& cluster, Random& random) {
  if (!cluster.services.empty())
    cluster.services.erase(cluster.services.begin() +
                           static_cast<std::ptrdiff_t>(random.below(cluster.services.size())));
}

void remove_all_services(Cluster& cluster, Random& random) {
  if (random.chance(20)) cluster.services.clear();
}

/// The name and the VIPs stay, everything else is new.
void rewrite_service(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  Service& service = any_of(cluster.services, random);
  Service other = any_service(random, cluster);
  other.name = service.name;
  other.vips = service.vips;
  service = std::move(other);
}

/// Only the scheduler, its flags and the persistence.
void change_settings(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  Service& service = any_of(cluster.services, random);
  const Service other = any_service(random, cluster);
  service.scheduler = other.scheduler;
  service.flags = other.flags;
  service.persistence = other.persistence;
}

/// How its packets travel, and the limits.
void change_forward(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  Service& service = any_of(cluster.services, random);
  const Service other = any_service(random, cluster);
  service.forward = other.forward;
  service.tunnel = other.tunnel;
  service.server_port = other.server_port;
  service.uthreshold = other.uthreshold;
  service.lthreshold = other.lthreshold;
  service.one_packet = other.one_packet;
  service.notrack = other.notrack;
  service.netmask = other.netmask;
  service.extras = other.extras;
}

void change_protocols(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  any_of(cluster.services, random).protocols = any_service(random, cluster).protocols;
}

void change_ports(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  Service& service = any_of(cluster.services, random);
  const Service other = any_service(random, cluster);
  service.ports = other.ports;
  service.ranges = other.ranges;
}

void change_mark(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  any_of(cluster.services, random).mark = static_cast<unsigned>(random.between(0, 4));
}

void change_weights(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  for (auto& [name, weight] : any_of(cluster.services, random).servers)
    if (random.chance(50)) weight = random.pick(std::array{0, 1, 10, 255, 65535});
}

void change_servers_of_service(Cluster& cluster, Random& random) {
  if (cluster.services.empty()) return;
  any_of(cluster.services, random).servers = any_service(random, cluster).servers;
}

void swap_vips(Cluster& cluster, Random& random) {
  if (cluster.services.size() < 2) return;
  std::swap(any_of(cluster.services, random).vips, any_of(cluster.services, random).vips);
}

/// One VIP goes from a service to another.
void move_vip(Cluster& cluster, Random& random) {
  if (cluster.services.size() < 2) return;
  Service& from = any_of(cluster.services, random);
  Service& to = any_of(cluster.services, random);
  if (&from == &to || from.vips.size() < 2) return;
  if (std::ranges::find(to.vips, from.vips.back()) == to.vips.end())
    to.vips.push_back(from.vips.back());
  from.vips.pop_back();
}

void add_server(Cluster& cluster, Random& random) {
  if (cluster.servers.size() >= 6) return;
  int number = 1;
  for (const Server& server : cluster.servers)
    number = std::max(number, server.number + 1);
  cluster.servers.push_back(any_server(random, number));
  for (Service& service : cluster.services)
    if (random.chance(60)) service.servers.emplace(cluster.servers.back().name(), 1);
}

void remove_server(Cluster& cluster, Random& random) {
  if (cluster.servers.size() > 1)
    cluster.servers.erase(cluster.servers.begin() +
                          static_cast<std::ptrdiff_t>(random.below(cluster.servers.size())));
}

void rewrite_server(Cluster& cluster, Random& random) {
  Server& server = any_of(cluster.servers, random);
  const int renumbered = server.renumbered;
  server = any_server(random, server.number);
  server.renumbered = renumbered;
}

void renumber_server(Cluster& cluster, Random& random) {
  Server& server = any_of(cluster.servers, random);
  server.renumbered = 1 - server.renumbered;
}

void swap_signals(Cluster& cluster, Random& random) {
  Server& one = any_of(cluster.servers, random);
  Server& other = any_of(cluster.servers, random);
  if (one.v4 == other.v4 && one.v6 == other.v6) std::swap(one.signal, other.signal);
}

void change_director(Cluster& cluster, Random& random) {
  const Director other = any_cluster(random).directors.front();
  Director& director = any_of(cluster.directors, random);
  const int number = director.number;
  director = other;
  director.number = number;
}

void change_join_only(Cluster& cluster, Random& random) {
  const bool now = random.chance(50);
  for (Service& service : cluster.services)
    service.join_only = now;
}

void change_limits(Cluster& cluster, Random& random) {
  cluster.limits.reset();
  if (random.chance(60)) cluster.limits = Limits{random.between(0, 8), random.between(0, 8)};
}

void change_node_settings(Cluster& cluster, Random& random) {
  any_node_settings(cluster, random);
}

constexpr std::array changes = {
    Change{add_service},
    remove_service,
    remove_all_services,
    rewrite_service,
    change_settings,
    change_protocols,
    change_forward,
    change_forward,
    change_mark,
    change_mark,
    change_ports,
    change_weights,
    change_weights,
    change_servers_of_service,
    swap_vips,
    move_vip,
    add_server,
    remove_server,
    rewrite_server,
    renumber_server,
    swap_signals,
    change_director,
    change_join_only,
    change_limits,
    change_node_settings,
};

}  // namespace

Cluster changed(const Cluster& cluster, Random& random) {
  Cluster out = cluster;
  for (int left = random.between(1, 4); left > 0; --left)
    random.pick(changes)(out, random);
  repair(out);
  return out;
}

}  // namespace lbctl::random
