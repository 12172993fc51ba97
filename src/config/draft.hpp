// The file decoded but not yet known to be consistent: the values of Config, each with its place.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node.hpp"

namespace lbctl::config {

template <class T>
struct Spanned {
  T value{};
  Span at;
};

/// A list of which some elements may have been wrong and are then left out. Rules that would say
/// that something is missing must ask `whole` first: one slip, one error.
template <class T>
struct DraftList {
  Span key;  ///< the key itself, or its table where the key is left out
  std::vector<Spanned<T>> items;
  bool whole = true;
};

struct DraftDirector {
  std::string name;
  Span at;
  DraftList<model::IpAddress> addresses;
  Spanned<std::string> interface;
  DraftList<std::string> client_interfaces;
  VipOn vip_on = VipOn::interface;
  DraftList<model::SyncRole> sync;
};

struct DraftServer {
  std::string name;
  Span at;
  DraftList<model::IpAddress> addresses;
  Spanned<std::string> interface;
  std::optional<Spanned<model::ServerId>> id;
  DraftList<model::IpAddress> signal;
  model::XdpMode xdp_mode = model::XdpMode::automatic;
  Steer steer = Steer::l2;
  DraftList<std::string> mptcpize;

  bool has_address_of(model::Family family) const;
  bool has_signal_of(model::Family family) const;
};

/// Left out: those of the service, or none.
struct DraftLimits {
  std::optional<Spanned<std::uint32_t>> upper, lower;
  bool whole = true;
};

struct DraftUse {
  std::string name;
  std::uint16_t weight = 1;
  std::optional<Spanned<std::uint16_t>> port{};
  DraftLimits limits{};
};

inline constexpr std::uint16_t default_gue_port = 6080;  // IANA's

struct DraftTunnel {
  Span at;  ///< its table
  model::TunnelType type = model::TunnelType::ipip;
  std::optional<Spanned<std::uint16_t>> port;
  Spanned<model::TunnelChecksum> checksum;
  bool whole = true;
};

struct DraftCid {
  model::CidScheme scheme;
  std::string key_file;  ///< empty: not encrypted
};

/// A rate, and how much of it may come at once.
struct DraftRate {
  std::optional<Spanned<model::Rate>> rate;
  std::optional<Spanned<std::uint32_t>> burst;
  bool whole = true;  ///< neither was wrong by itself
};

struct DraftGuard {
  std::optional<Span> at;  ///< its table
  DraftRate syn;
  Spanned<bool> mptcp_only;
  std::optional<Span> sources;  ///< its table
  std::uint8_t prefix_v4 = 32, prefix_v6 = 64;
};

struct DraftService {
  std::string name;
  Span at;
  DraftList<model::IpAddress> vips;
  DraftList<std::uint16_t> ports;
  DraftList<model::PortRange> ranges;  ///< of the same key: all that is no single port
  DraftList<Protocol> protocols;
  Spanned<std::string> scheduler{"wlc", {}};
  DraftList<std::string> flags;
  std::uint32_t persistence_timeout = 0;
  bool has_persistence = false;  ///< there is a timeout, right or wrong
  std::optional<Span> netmask;   ///< its table
  std::optional<Spanned<std::uint8_t>> netmask_v4, netmask_v6;
  Spanned<bool> one_packet;
  Spanned<bool> notrack;
  Spanned<model::Forward> forward{model::Forward::route, {}};
  bool forward_known = true;  ///< false: it was wrong
  std::optional<DraftTunnel> tunnel;
  std::optional<Spanned<std::uint16_t>> server_port;
  DraftLimits limits;
  DraftList<DraftUse> servers;
  std::optional<Spanned<std::uint32_t>> fwmark;
  std::optional<Span> mptcp;  ///< its table
  std::optional<Span> quic;
  Spanned<bool> join_only{true, {}};
  Spanned<Signal> signal{Signal::address, {}};
  Spanned<Via> via{Via::forward, {}};
  std::optional<Spanned<std::uint16_t>> port_base;
  bool signal_known = true;  ///< none of the three was wrong by itself
  DraftRate joins;           ///< of its table, too
  DraftList<DraftCid> cids;
  Initial initial = Initial::steer;
  Unknown unknown = Unknown::pass;

  DraftGuard guard;

  std::optional<Spanned<HealthCheck>> check;
  HealthPolicy health;
  std::optional<Spanned<Quorum>> quorum;
  std::optional<Spanned<std::string>> track;         ///< of its name nothing is known yet
  std::optional<Spanned<std::string>> sorry_server;  ///< there is such a server

  bool has(Protocol protocol) const;
  /// Has mptcp, by the servers' signal addresses or by ports of the VIP.
  bool has_mptcp_by(Signal by) const { return has(Protocol::mptcp) && signal.value == by; }
};

/// A sysctl of the file, under its path.
using DraftSysctls = std::map<std::string, Spanned<std::string>>;

struct DraftIpvs {
  model::IpvsTimeouts timeouts;
  std::optional<Spanned<SyncSettings>> sync;
  DraftSysctls sysctls;
};

struct Draft {
  std::string cluster;
  std::vector<DraftDirector> directors;
  std::vector<DraftServer> servers;
  std::vector<DraftService> services;
  std::optional<Spanned<model::MptcpLimits>> limits;
  std::optional<Span> mptcp;  ///< its table
  DraftSysctls mptcp_sysctls;
  DraftIpvs ipvs;
  DaemonSettings daemon;
  model::Patience drain;

  /// Each server once, by name.
  std::map<std::string_view, const DraftServer*> servers_by_name() const;
};

/// Reports every value that is wrong by itself and leaves it out. Wrong shapes are skipped
/// silently: check_shape has reported them.
Draft decode(const Node& root, Report& report);

/// Reports what is wrong between values, and what is doubtful.
void check_nodes(const Draft& draft, Report& report);
void check_ipvs(const Draft& draft, Report& report);
void check_tunnel_ends(const Draft& draft, Report& report);
void check_guard(const DraftService& service, Report& report);
void check_services(const Draft& draft, Report& report);
/// What check_services() asks of one service: how its packets travel, the limits of its servers.
void check_forward(const DraftService& service, Report& report);
/// Servers whose answers can't all take one way.
void check_ways_back(const Draft& draft, Report& report);
void check_doubts(const Draft& draft, Report& report);
/// The connection IDs of a service: do they hold its servers' ids, is each of them ever asked?
void check_cids(const DraftService& service,
                const std::map<std::string_view, const DraftServer*>& servers, Report& report);
void check_health(const Draft& draft, Report& report);

/// Only for a draft without errors.
Config to_config(const Draft& draft, const Source& source);

}  // namespace lbctl::config
