#include "cluster.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace lbctl::random {

bool is_v6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

std::string Director::name() const {
  return fmt::format("dir{}", number);
}

std::string Server::name() const {
  return fmt::format("rs{}", number);
}

bool Server::has_signal_of(bool v6_family) const {
  return std::ranges::any_of(signal,
                             [&](const std::string& one) { return is_v6(one) == v6_family; });
}

const Server* Cluster::server(const std::string& name) const {
  const auto it = std::ranges::find(servers, name, &Server::name);
  return it == servers.end() ? nullptr : &*it;
}

namespace {

std::string quoted(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts)
    out.push_back(fmt::format("\"{}\"", text));
  return fmt::format("[{}]", fmt::join(out, ", "));
}

std::string quoted(const std::set<std::string>& texts) {
  return quoted(std::vector<std::string>(texts.begin(), texts.end()));
}

std::string text_of(const Director& director) {
  std::string out = fmt::format(
      "\n[directors.{0}]\naddress = [\"192.0.2.{1}\", \"2001:db8:100::{1}\"]\ninterface = "
      "\"{2}\"\n",
      director.name(), 1 + director.number, director.interface);
  if (!director.client_interfaces.empty())
    out += fmt::format("client_interfaces = {}\n", quoted(director.client_interfaces));
  if (!director.sync.empty()) out += fmt::format("sync = [\"{}\"]\n", director.sync);
  if (!director.vip_on.empty()) out += fmt::format("vip_on = \"{}\"\n", director.vip_on);
  return out;
}

std::string text_of(const Server& server) {
  const int host = 10 + server.number + 20 * server.renumbered;
  std::vector<std::string> addresses;
  if (server.v4) addresses.push_back(fmt::format("192.0.2.{}", host));
  if (server.v6) addresses.push_back(fmt::format("2001:db8:100::{}", host));
  std::string out = fmt::format("\n[servers.{}]\naddress = {}\ninterface = \"{}\"\nid = {}\n",
                                server.name(), quoted(addresses), server.interface, server.id);
  if (!server.signal.empty()) out += fmt::format("signal = {}\n", quoted(server.signal));
  return out;
}

std::string servers_of(const Service& service, const Cluster& cluster, Random& random) {
  const bool ones =
      std::ranges::all_of(service.servers, [](const auto& entry) { return entry.second == 1; });
  const bool bare = std::ranges::none_of(
      service.servers, [&](const auto& entry) { return service.extras.contains(entry.first); });
  if (bare && ones && service.servers.size() == cluster.servers.size() && random.chance(70))
    return "";
  std::vector<std::string> out;
  if (bare && ones && random.chance(70)) {
    for (const auto& [name, weight] : service.servers)
      out.push_back(name);
    return fmt::format("servers = {}\n", quoted(out));
  }
  for (const auto& [name, weight] : service.servers) {
    const auto more = service.extras.find(name);
    out.push_back(more == service.extras.end()
                      ? fmt::format("{} = {}", name, weight)
                      : fmt::format("{} = {{ weight = {}, {} }}", name, weight, more->second));
  }
  return fmt::format("servers = {{ {} }}\n", fmt::join(out, ", "));
}

std::string ports_of(const Service& service) {
  if (service.ranges.contains({0, 65535})) return "\"all\"";
  std::vector<std::string> out;
  for (const int port : service.ports)
    out.push_back(fmt::to_string(port));
  for (const auto& [first, last] : service.ranges)
    out.push_back(fmt::format("\"{}-{}\"", first, last));
  return fmt::format("[{}]", fmt::join(out, ", "));
}

std::string text_of(const Service& service, const Cluster& cluster, Random& random) {
  std::string out =
      fmt::format("\n[services.\"{}\"]\nvip = {}\nports = {}\nprotocols = {}\n", service.name,
                  quoted(service.vips), ports_of(service), quoted(service.protocols));
  if (service.mark != 0) out += fmt::format("fwmark = {}\n", service.mark);
  if (service.scheduler != "wlc" || random.chance(50))
    out += fmt::format("scheduler = \"{}\"\n", service.scheduler);
  if (!service.flags.empty()) out += fmt::format("scheduler_flags = {}\n", quoted(service.flags));
  if (!service.persistence.empty())
    out += fmt::format("persistence_timeout = \"{}\"\n", service.persistence);
  if (!service.netmask.empty()) out += fmt::format("persistence_netmask = {}\n", service.netmask);
  if (service.one_packet) out += "one_packet = true\n";
  if (service.notrack) out += "notrack = true\n";
  if (!service.forward.empty()) out += fmt::format("forward = \"{}\"\n", service.forward);
  if (!service.tunnel.empty()) out += fmt::format("tunnel = {}\n", service.tunnel);
  if (service.server_port != 0) out += fmt::format("server_port = {}\n", service.server_port);
  if (service.uthreshold != 0) out += fmt::format("uthreshold = {}\n", service.uthreshold);
  if (service.lthreshold != 0) out += fmt::format("lthreshold = {}\n", service.lthreshold);
  out += servers_of(service, cluster, random);
  if (service.protocols.contains("mptcp") &&
      (!service.join_only || service.port_base != 0 || random.chance(50))) {
    out +=
        fmt::format("\n[services.\"{}\".mptcp]\njoin_only = {}\n", service.name, service.join_only);
    if (service.port_base != 0)
      out += fmt::format("signal = \"port\"\nport_base = {}\n", service.port_base);
  }
  if (service.protocols.contains("quic"))
    out += fmt::format(
        "\n[services.\"{}\".quic]\ncid = {{ scheme = \"quic-lb\", config = {}, id_length = {}, "
        "nonce_length = {} }}\n",
        service.name, service.cid_config, service.id_length, service.nonce_length);
  return out;
}

}  // namespace

std::string Cluster::text(Random& random) const {
  std::string out = "[cluster]\nname = \"made-up\"\n";
  if (limits || !mptcp.empty()) out += "\n[mptcp]\n";
  if (limits)
    out += fmt::format("subflows = {}\nadd_addr_accepted = {}\n", limits->subflows,
                       limits->add_addr_accepted);
  const auto lines = [&out](const std::vector<std::string>& all) {
    for (const std::string& line : all)
      out += line + "\n";
  };
  lines(mptcp);
  if (!ipvs.empty()) out += "\n[ipvs]\n";
  lines(ipvs);
  if (ipvs_sync) out += "\n[ipvs.sync]\n";
  if (ipvs_sync) lines(*ipvs_sync);
  if (!ipvs_sysctl.empty()) out += "\n[ipvs.sysctl]\n";
  lines(ipvs_sysctl);
  if (!drain_tcp.empty() || !drain_udp.empty()) out += "\n[drain]\n";
  if (!drain_tcp.empty()) out += fmt::format("tcp = \"{}\"\n", drain_tcp);
  if (!drain_udp.empty()) out += fmt::format("udp = \"{}\"\n", drain_udp);
  for (const Director& director : directors)
    out += text_of(director);
  for (const Server& server : servers)
    out += text_of(server);
  for (const Service& service : services)
    out += text_of(service, *this, random);
  return out;
}

namespace {

/// What one service may ask of its servers.
class Repair {
 public:
  explicit Repair(const Cluster& cluster) : cluster_(cluster) {}

  /// False if nothing is left of it.
  bool operator()(Service& service) {
    std::erase_if(service.servers,
                  [&](const auto& entry) { return cluster_.server(entry.first) == nullptr; });
    if (service.servers.empty())
      for (const Server& server : cluster_.servers)
        service.servers.emplace(server.name(), 1);
    std::erase_if(service.vips, [&](const std::string& vip) {
      return !all(service,
                  [&](const Server& server) { return is_v6(vip) ? server.v6 : server.v4; });
    });
    protocols(service);
    forwarding(service);
    marks(service);
    const bool hashes = service.scheduler == "mh" || service.scheduler == "sh";
    std::erase_if(service.flags, [&](const std::string& flag) {
      return !hashes || !flag.starts_with(service.scheduler + "-");
    });
    // One service claims its listeners as a whole before the next one is looked at.
    std::erase_if(service.vips, [&](const std::string& vip) { return taken(service, vip); });
    for (const std::string& vip : service.vips)
      claim(service, vip);
    if (service.vips.empty()) return false;
    cid(service);
    if (service.protocols.contains("mptcp"))
      for (const auto& [name, weight] : service.servers)
        join_only_.emplace(name, service.join_only);
    return true;
  }

 private:
  template <class Test>
  bool all(const Service& service, Test test) const {
    return std::ranges::all_of(
        service.servers, [&](const auto& entry) { return test(*cluster_.server(entry.first)); });
  }

  void protocols(Service& service) {
    // By ports of the VIP: IPv4, ids below 100, and no more than the kernel's endpoints.
    const bool by_port = service.port_base != 0 && service.vips.size() == 1 &&
                         !is_v6(service.vips.front()) && service.ranges.empty() && ported_ < 2 &&
                         all(service, [](const Server& server) { return server.id < 100; });
    if (by_port) ++ported_;
    if (!by_port) service.port_base = 0;
    const bool signals = by_port || all(service, [&](const Server& server) {
                           return std::ranges::all_of(service.vips, [&](const std::string& vip) {
                             return server.has_signal_of(is_v6(vip));
                           });
                         });
    std::set<bool> others;
    for (const auto& [name, weight] : service.servers)
      if (const auto it = join_only_.find(name); it != join_only_.end()) others.insert(it->second);
    if (service.protocols.contains("mptcp") && (!signals || others.size() == 2)) {
      service.protocols.erase("mptcp");
      service.protocols.insert("tcp");
    }
    if (others.size() == 1) service.join_only = *others.begin();
    if (service.protocols.contains("mptcp")) service.protocols.erase("tcp");
    if (service.protocols.contains("quic")) service.protocols.erase("udp");
  }

  /// Only masquerade maps ports; mptcp and quic need DR.
  static void forwarding(Service& service) {
    if (service.protocols.contains("mptcp") || service.protocols.contains("quic"))
      service.forward.clear();
    const bool masquerade = service.forward == "masquerade";
    if (!masquerade) service.server_port = 0;
    if (!masquerade)
      std::erase_if(service.extras,
                    [](const auto& entry) { return entry.second.contains("port = "); });
    const bool udp = service.protocols.contains("udp") || service.protocols.contains("quic");
    service.one_packet = service.one_packet && udp && !masquerade;
    service.notrack = service.notrack && !masquerade;
    if (service.persistence.empty()) service.netmask.clear();
  }

  /// A mark of its own; ranges only with one, not with quic, and no port twice.
  void marks(Service& service) {
    if (service.mark != 0 && !marks_.insert(service.mark).second) service.mark = 0;
    if (service.mark == 0 || service.protocols.contains("quic")) service.ranges.clear();
    // Where tunnels may end.
    if (service.protocols.contains("udp"))
      std::erase_if(service.ranges, [](const auto& range) { return range.second == 65535; });
    const auto in_range = [&](int port) {
      return std::ranges::any_of(service.ranges, [&](const auto& range) {
        return range.first <= port && port <= range.second;
      });
    };
    std::erase_if(service.ports, in_range);
    if (service.ports.empty() && service.ranges.empty()) service.ports.insert(80);
  }

  struct Listener {
    std::string vip;
    int first, last;
    bool tcp;
    bool overlaps(const Listener& other) const {
      return vip == other.vip && tcp == other.tcp && first <= other.last && other.first <= last;
    }
  };
  static std::vector<Listener> listeners(const Service& service, const std::string& vip) {
    std::vector<Listener> out;
    for (const std::string& protocol : service.protocols) {
      const bool tcp = protocol == "tcp" || protocol == "mptcp";
      for (const int port : service.ports)
        out.push_back({vip, port, port, tcp});
      for (const auto& [first, last] : service.ranges)
        out.push_back({vip, first, last, tcp});
    }
    return out;
  }
  bool taken(const Service& service, const std::string& vip) const {
    return std::ranges::any_of(listeners(service, vip), [&](const Listener& one) {
      return std::ranges::any_of(taken_,
                                 [&](const Listener& other) { return other.overlaps(one); });
    });
  }
  void claim(const Service& service, const std::string& vip) {
    for (Listener& one : listeners(service, vip))
      taken_.push_back(std::move(one));
  }

  void cid(Service& service) const {
    for (const auto& [name, weight] : service.servers)
      while (service.id_length < 8 && cluster_.server(name)->id >> (8 * service.id_length) != 0)
        ++service.id_length;
    service.nonce_length = std::min(service.nonce_length, 19 - service.id_length);
  }

  const Cluster& cluster_;
  std::vector<Listener> taken_;
  std::set<unsigned> marks_;
  std::map<std::string, bool> join_only_;
  int ported_ = 0;
};

}  // namespace

void repair(Cluster& cluster) {
  if (!cluster.ipvs_sync)
    for (Director& director : cluster.directors)
      director.sync.clear();
  std::set<std::string> signals;
  for (Server& server : cluster.servers)
    std::erase_if(server.signal,
                  [&](const std::string& one) { return !signals.insert(one).second; });
  Repair whole(cluster);
  std::erase_if(cluster.services, [&](Service& service) { return !whole(service); });
}

}  // namespace lbctl::random
