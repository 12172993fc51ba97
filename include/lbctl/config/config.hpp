// The file as values: typed, validated, names resolved. A Config exists only if the whole file is
// right; read.hpp makes it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lbctl/config/health.hpp"
#include "lbctl/model/address.hpp"
#include "lbctl/model/ipvs.hpp"
#include "lbctl/model/leaving.hpp"
#include "lbctl/model/mptcp.hpp"
#include "lbctl/model/nft.hpp"
#include "lbctl/model/node_state.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::config {

/// Where something stands in the file; kept for errors that appear only later. Line and column
/// count from 1, columns and width in octets.
struct Position {
  std::string file;
  int line = 1;
  int column = 1;
  int width = 1;
  std::string text() const;  ///< "lbctl.toml:12:3"
};

struct Cluster {
  std::string name;
};

/// Where a director's VIPs stand.
enum class VipOn : std::uint8_t {
  interface,  ///< on each client interface, announced: the segment finds it by ARP and NDP
  loopback,   ///< on lo: a router sends the traffic here (anycast)
  none,       ///< somebody else (keepalived's VRRP) adds and removes them
};
std::string_view name(VipOn vip_on);

struct Director {
  std::string name;
  std::vector<model::IpAddress> addresses;     ///< its own; at least one
  std::string interface;                       ///< towards the real servers
  std::vector<std::string> client_interfaces;  ///< never empty: left out means `interface`
  VipOn vip_on = VipOn::interface;
  /// The connection sync daemons that it runs; empty without IpvsSettings::sync.
  std::set<model::SyncRole> sync;
  Position at;
};

/// How QUIC packets come from one server to another.
enum class Steer : std::uint8_t {
  l2,      ///< as they are, by Ethernet address: both are on one segment
  tunnel,  ///< inside IP, past routers
};
std::string_view name(Steer steer);

struct Server {
  std::string name;
  std::vector<model::IpAddress> addresses;  ///< its own; at least one
  std::string interface;                    ///< where VIP traffic arrives
  model::ServerId id{};                     ///< unique, never 0
  std::vector<model::IpAddress> signal;     ///< its MPTCP signal addresses, in the file's order
  model::XdpMode xdp_mode = model::XdpMode::automatic;
  Steer steer = Steer::l2;
  std::vector<std::string> mptcpize;  ///< systemd services, in the file's order
  Position at;

  /// The first address of that family; nothing if it has none.
  std::optional<model::IpAddress> address_of(model::Family family) const;
};

enum class Protocol : std::uint8_t {
  tcp,
  mptcp,  ///< tcp whose joins come home to the server that holds the connection
  udp,
  quic,  ///< udp steered by connection ID
};
std::string_view name(Protocol protocol);
model::L4 layer4(Protocol protocol);

/// What a real server announces for joins.
enum class Signal : std::uint8_t {
  address,  ///< its signal addresses, the port as it is
  port,     ///< the VIP with a port of the server's own
};
std::string_view name(Signal signal);

/// How joins come to their server.
enum class Via : std::uint8_t {
  forward,  ///< a director's nftables, at ingress
  ipvs,     ///< a virtual service with one destination
  direct,   ///< the network routes the signal address to its server
};
std::string_view name(Via via);

struct MptcpSettings {
  Signal signal = Signal::address;
  Via via = Via::forward;
  std::uint16_t port_base = 0;     ///< with Signal::port; a server's port is this + its id
  bool join_only = true;           ///< a SYN to a signal address without MP_JOIN is dropped
  std::optional<model::Rate> syn;  ///< what a source may send of SYNs to signal addresses
};

/// One layout of connection IDs. The key itself stays in its file until a node needs it.
struct QuicCid {
  model::CidScheme scheme;
  std::string key_file;  ///< path; empty: not encrypted
  friend bool operator==(const QuicCid&, const QuicCid&) = default;
};

/// What a source may send to a service; the rest is dropped before it costs anything.
struct GuardSettings {
  std::optional<model::Rate> syn;  ///< connections to the VIPs
  bool mptcp_only = false;         ///< connections without MPTCP are dropped
  std::uint8_t prefix_v4 = 32;     ///< sources that are equal up to here count as one
  std::uint8_t prefix_v6 = 64;
  std::uint8_t prefix(model::Family family) const {
    return family == model::Family::v4 ? prefix_v4 : prefix_v6;
  }
};

/// What becomes of a long header whose connection ID names another server.
enum class Initial : std::uint8_t { steer, local };
std::string_view name(Initial initial);
/// What becomes of a packet whose connection ID names nobody.
enum class Unknown : std::uint8_t { pass, drop };
std::string_view name(Unknown unknown);

struct QuicSettings {
  std::vector<QuicCid> cids;  ///< the first that fits decides
  Initial initial = Initial::steer;
  Unknown unknown = Unknown::pass;
};

/// One server in one service.
struct ServerUse {
  model::Weight weight{1};
  /// Under masquerade, where its connections go; nothing: to the port that the client named.
  std::optional<model::Port> port;
  std::uint32_t uthreshold = 0;  ///< connections; 0: no limit
  std::uint32_t lthreshold = 0;
  friend bool operator==(const ServerUse&, const ServerUse&) = default;
};

/// The firewall mark by which IPVS brings the director's own checks to this server, whatever VIP
/// they are for.
std::uint32_t check_mark(const Server& server);
inline constexpr std::uint32_t check_marks = 0x6c620000;  ///< and a server's id, up to 65535

struct Service {
  std::string name;
  std::vector<model::IpAddress> vips;    ///< at least one
  std::vector<model::Port> ports;        ///< at least one of these or of the ranges
  std::vector<model::PortRange> ranges;  ///< only with fwmark
  std::uint32_t fwmark = 0;              ///< 0: a virtual service for each VIP, port and protocol
  std::set<Protocol> protocols;          ///< at least one
  std::string scheduler = "wlc";
  model::ServiceFlags flags;                ///< one_packet: of its UDP only
  std::uint32_t persistence_timeout = 0;    ///< seconds; 0: no persistence
  std::uint8_t persistence_prefix_v4 = 32;  ///< by which clients are grouped under persistence
  std::uint8_t persistence_prefix_v6 = 128;
  model::Forward forward = model::Forward::route;
  bool notrack = false;                      ///< directors keep conntrack from what clients send it
  model::Tunnel tunnel;                      ///< means something with Forward::tunnel
  std::map<std::string, ServerUse> servers;  ///< by name, at least one; each is in Config
  MptcpSettings mptcp;                       ///< means something with Protocol::mptcp
  GuardSettings guard;
  QuicSettings quic;                 ///< means something with Protocol::quic
  std::optional<HealthCheck> check;  ///< for the daemon, as the rest
  HealthPolicy health;
  std::optional<Quorum> quorum;
  std::string track;  ///< a service: who is not healthy there is not here; empty: none
  /// Takes new connections while the quorum is lost; empty: none. Not in `servers`.
  std::string sorry_server;
  Position at;

  bool has(Protocol protocol) const { return protocols.contains(protocol); }
  bool has_vip_of(model::Family family) const;
  /// Whether the daemon's checks join the MPTCP connections that they make.
  bool checked_by_joins() const { return check && check->type == CheckType::mptcp; }
  /// Whether what checks send goes through IPVS, which then needs the server's check_mark().
  bool checked_by_mark() const {
    return check && (check->through_vip || (checked_by_joins() && mptcp.via == Via::ipvs));
  }
  /// Whether packets for it may come to this server.
  bool involves(const std::string& server) const {
    return servers.contains(server) || sorry_server == server;
  }
  /// Whether its servers get packets with the VIP as their destination, and so must hold it.
  bool vip_on_servers() const { return forward != model::Forward::masquerade; }
  /// Where a server of it gets what clients sent to `port`.
  model::Port server_port(const ServerUse& use, model::Port port) const {
    return use.port.value_or(port);
  }
  /// `ports` and `ranges`.
  std::vector<model::PortRange> all_ranges() const;
  /// What this server announces: its signal addresses, or with Signal::port VIPs with its port.
  std::vector<model::EndpointKey> announced(const Server& server) const;
};

/// What all sync daemons of the cluster have in common.
struct SyncSettings {
  std::string interface;         ///< empty: that of the director
  std::uint8_t id = 0;           ///< 0: a backup takes what every master sends
  std::uint16_t max_length = 0;  ///< 0: left out
  model::IpAddress group;        ///< multicast
  model::Port port{8848};
  std::uint8_t ttl = 1;
};

/// [ipvs]: what each director sets once.
struct IpvsSettings {
  model::IpvsTimeouts timeouts;
  std::optional<SyncSettings> sync;
  model::SysctlState sysctls;  ///< by path
};

/// How `lbctl daemon` runs.
struct DaemonSettings {
  /// Where metrics are served; nothing: nowhere.
  std::optional<std::pair<model::IpAddress, model::Port>> metrics;
  std::string group;             ///< who may use the control socket besides root; empty: nobody
  std::uint32_t reconcile = 30;  ///< seconds: the kernel is compared that often, whatever happens
  bool watch = false;            ///< a changed file is read without being asked to
};

struct Config {
  Cluster cluster;
  std::map<std::string, Director> directors;
  std::map<std::string, Server> servers;
  std::map<std::string, Service> services;
  std::optional<model::MptcpLimits> mptcp_limits;  ///< nothing: the nodes keep what they have
  model::SysctlState mptcp_sysctls;                ///< by path
  IpvsSettings ipvs;
  DaemonSettings daemon;
  model::Patience drain;  ///< with what the file no longer wants

  /// What the errors of a wrong --node list: "dir1, dir2, rs1", directors first.
  std::vector<std::string> node_names() const;
};

}  // namespace lbctl::config
