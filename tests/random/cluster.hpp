// A cluster as a test makes it up: what a file may say, before it is TOML. Always valid after
// repair().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace lbctl::random {

/// The same seed gives the same choices everywhere: std::mt19937_64 is fixed by the standard, the
/// distributions of the library are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  int between(int least, int most) {
    return least + static_cast<int>(below(static_cast<std::uint64_t>(most - least + 1)));
  }
  bool chance(int percent) { return between(1, 100) <= percent; }
  template <class List>
  const auto& pick(const List& list) {
    return *std::next(list.begin(), static_cast<std::ptrdiff_t>(below(std::size(list))));
  }

 private:
  std::mt19937_64 engine_;
};

struct Director {
  int number = 1;
  std::string interface = "eth0";
  std::vector<std::string> client_interfaces;  ///< empty: left out
  std::string vip_on;                          ///< empty: left out
  std::string sync;                            ///< "master" or "backup"; empty: left out
  std::string name() const;
};

struct Server {
  int number = 1;
  bool v4 = true, v6 = true;
  int renumbered = 0;  ///< 1: it stands at its second addresses
  std::uint64_t id = 1;
  std::string interface = "eth0";
  std::vector<std::string> signal;
  std::string name() const;
  bool has_signal_of(bool v6_family) const;
};

struct Service {
  std::string name;
  std::vector<std::string> vips;
  std::set<int> ports;
  std::set<std::pair<int, int>> ranges;  ///< only with a mark
  unsigned mark = 0;                     ///< 0: left out
  std::set<std::string> protocols;
  std::string scheduler = "wlc";
  std::set<std::string> flags;
  std::string persistence;                    ///< empty: left out
  std::map<std::string, int> servers;         ///< weights by name
  std::map<std::string, std::string> extras;  ///< of one of them: members of its table
  std::string forward;                        ///< empty: left out
  std::string tunnel;                         ///< its table
  int server_port = 0;                        ///< 0: left out
  int uthreshold = 0, lthreshold = 0;
  bool one_packet = false;
  bool notrack = false;
  std::string netmask;  ///< its table; empty: left out
  bool join_only = true;
  int port_base = 0;  ///< 0: by signal addresses
  int cid_config = 0, id_length = 2, nonce_length = 6;
};

struct Limits {
  int subflows = 2, add_addr_accepted = 0;
};

struct Cluster {
  std::vector<Director> directors;
  std::vector<Server> servers;
  std::vector<Service> services;
  std::optional<Limits> limits;
  std::vector<std::string> mptcp;                     ///< further lines of [mptcp]
  std::vector<std::string> ipvs;                      ///< lines of [ipvs]
  std::vector<std::string> ipvs_sysctl;               ///< lines of [ipvs.sysctl]
  std::optional<std::vector<std::string>> ipvs_sync;  ///< lines of [ipvs.sync]
  std::string drain_tcp, drain_udp;                   ///< empty: left out

  const Server* server(const std::string& name) const;
  /// As TOML. What the language lets one leave out is left out now and then.
  std::string text(Random& random) const;
};

/// Takes away what the language forbids: families that a server lacks, doubled listeners, ....
void repair(Cluster& cluster);

Cluster any_cluster(Random& random);
/// What each node sets once: [ipvs], and [mptcp] but its limits.
void any_node_settings(Cluster& cluster, Random& random);
Service any_service(Random& random, const Cluster& cluster);
Server any_server(Random& random, int number);
/// The same cluster after some changes of the kinds that operators make.
Cluster changed(const Cluster& cluster, Random& random);

/// Two files for one cluster, the second derived from the first or independent of it.
struct Pair {
  std::string first, second;
};
Pair any_pair(std::uint64_t seed);

bool is_v6(const std::string& address);

}  // namespace lbctl::random
