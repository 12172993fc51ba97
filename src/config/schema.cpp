#include "schema.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace lbctl::config {
namespace {

constexpr const char* list_of_addresses = "address = [\"192.0.2.10\", \"2001:db8::10\"]";
constexpr const char* list_of_signals = "signal = [\"192.0.2.10\", \"2001:db8::10\"]";
constexpr const char* some_interface = "interface = \"eth0\"";

// In the order of the manual page; a table before its keys. Services have a file of their own.
constexpr std::array keys = {
    KeySpec{.pattern = "cluster", .shape = Shape::table, .about = "The cluster as a whole"},
    KeySpec{.pattern = "cluster.name",
            .shape = Shape::text,
            .required = true,
            .about = "What the cluster is called in messages"},

    KeySpec{.pattern = "directors",
            .shape = Shape::table,
            .about = "The nodes that hold the VIPs and spread connections"},
    KeySpec{.pattern = "directors.*", .shape = Shape::table, .about = "One director, by name"},
    KeySpec{.pattern = "directors.*.address",
            .shape = Shape::texts,
            .required = true,
            .about = "The director's own addresses",
            .example = list_of_addresses,
            .own = true},
    KeySpec{.pattern = "directors.*.interface",
            .shape = Shape::text,
            .required = true,
            .about = "The device towards the real servers",
            .example = some_interface},
    KeySpec{.pattern = "directors.*.client_interfaces",
            .shape = Shape::texts,
            .about = "Where client traffic arrives",
            .fallback = "that of interface",
            .example = "client_interfaces = [\"eth1\"]"},
    KeySpec{.pattern = "directors.*.vip_on",
            .shape = Shape::text,
            .about = "Where VIPs and signal addresses stand on the director",
            .words = "interface loopback none",
            .fallback = "\"interface\""},
    KeySpec{.pattern = "directors.*.sync",
            .shape = Shape::texts,
            .about = "The connection sync daemons that the director runs",
            .words = "master backup",
            .fallback = "both, where [ipvs.sync] stands",
            .example = "sync = [\"master\", \"backup\"]"},

    KeySpec{.pattern = "servers",
            .shape = Shape::table,
            .about = "The real servers, which answer clients"},
    KeySpec{.pattern = "servers.*", .shape = Shape::table, .about = "One real server, by name"},
    KeySpec{.pattern = "servers.*.address",
            .shape = Shape::texts,
            .required = true,
            .about = "The server's own addresses",
            .example = list_of_addresses,
            .own = true},
    KeySpec{.pattern = "servers.*.interface",
            .shape = Shape::text,
            .required = true,
            .about = "Where VIP traffic arrives",
            .example = some_interface},
    KeySpec{.pattern = "servers.*.id",
            .shape = Shape::whole_or_hex,
            .required = true,
            .about = "The server id in QUIC connection IDs; unique",
            .range = server_id_range,
            .example = "id = 1",
            .own = true},
    KeySpec{.pattern = "servers.*.xdp_mode",
            .shape = Shape::text,
            .about = "How the QUIC steering program is attached",
            .words = "automatic native generic",
            .fallback = "\"automatic\"",
            .example = "xdp_mode = \"generic\""},
    KeySpec{.pattern = "servers.*.steer",
            .shape = Shape::text,
            .about = "How QUIC packets come to it from other servers, and from it to them",
            .words = "l2 tunnel",
            .fallback = "\"l2\"",
            .example = "steer = \"tunnel\""},
    KeySpec{.pattern = "servers.*.signal",
            .shape = Shape::texts,
            .about = "The server's MPTCP signal addresses, its alone",
            .fallback = "none",
            .example = list_of_signals,
            .own = true},
    KeySpec{.pattern = "servers.*.mptcpize",
            .shape = Shape::texts,
            .about = "systemd services that are made to listen with MPTCP",
            .fallback = "none",
            .example = "mptcpize = [\"nginx.service\"]"},

    KeySpec{.pattern = "mptcp",
            .shape = Shape::table,
            .about = "Limits and settings of MPTCP on the real servers"},
    KeySpec{.pattern = "mptcp.subflows",
            .shape = Shape::whole,
            .about = "Further subflows of a connection",
            .range = mptcp_limit_range,
            .fallback = "2"},
    KeySpec{.pattern = "mptcp.add_addr_accepted",
            .shape = Shape::whole,
            .about = "Addresses announced by the peer that the server connects to",
            .range = mptcp_limit_range,
            .fallback = "0"},
    KeySpec{.pattern = "mptcp.add_addr_timeout",
            .shape = Shape::duration,
            .about = "When an address that the peer did not acknowledge is announced again",
            .range = long_time_range,
            .fallback = "as it is",
            .example = "add_addr_timeout = \"120s\""},
    KeySpec{.pattern = "mptcp.checksum",
            .shape = Shape::boolean,
            .about = "Checksums of the data beside those of TCP",
            .fallback = "as it is",
            .example = "checksum = true"},
    KeySpec{.pattern = "mptcp.stale_loss_cnt",
            .shape = Shape::whole,
            .about = "Retransmission intervals after which a silent subflow is left aside",
            .range = any_count_range,
            .fallback = "as it is",
            .example = "stale_loss_cnt = 4"},
    KeySpec{.pattern = "mptcp.scheduler",
            .shape = Shape::text,
            .about = "Which subflow a packet takes",
            .fallback = "as it is",
            .kernel = "6.6",
            .example = "scheduler = \"default\""},
    KeySpec{.pattern = "mptcp.close_timeout",
            .shape = Shape::duration,
            .about = "How long a connection without any subflow waits for one",
            .range = long_time_range,
            .fallback = "as it is",
            .kernel = "6.7",
            .example = "close_timeout = \"60s\""},
    KeySpec{.pattern = "mptcp.blackhole_timeout",
            .shape = Shape::duration,
            .about = "How long own connections do without MPTCP where a firewall drops it",
            .range = long_time_range,
            .fallback = "as it is",
            .kernel = "6.12",
            .example = "blackhole_timeout = \"1h\""},
    KeySpec{.pattern = "mptcp.syn_retrans_before_tcp_fallback",
            .shape = Shape::whole,
            .about = "SYNs of own connections that are repeated with MPTCP before it is left out",
            .range = octet_range,
            .fallback = "as it is",
            .kernel = "6.14",
            .example = "syn_retrans_before_tcp_fallback = 2"},

    KeySpec{.pattern = "drain",
            .shape = Shape::table,
            .about = "How long connections may take to end by themselves"},
    KeySpec{.pattern = "drain.tcp",
            .shape = Shape::duration,
            .about = "For TCP",
            .range = patience_range,
            .fallback = "\"5m\"",
            .example = "tcp = \"5m\""},
    KeySpec{.pattern = "drain.udp",
            .shape = Shape::duration,
            .about = "For UDP and QUIC steering",
            .range = patience_range,
            .fallback = "\"2m\"",
            .example = "udp = \"2m\""},

    KeySpec{.pattern = "defaults",
            .shape = Shape::table,
            .about = "What tables have that do not say it themselves"},
    KeySpec{.pattern = "defaults.director",
            .shape = Shape::table,
            .about = "For every director: the keys of [directors.NAME]"},
    KeySpec{.pattern = "defaults.server",
            .shape = Shape::table,
            .about = "For every real server: the keys of [servers.NAME]"},
    KeySpec{.pattern = "defaults.service",
            .shape = Shape::table,
            .about = "For every service: the keys of [services.NAME]"},
};

constexpr std::array later = {
    LaterKey{"services.*.hysteresis", "it stands in [services.NAME.quorum]"},
};

}  // namespace

std::span<const KeySpec> schema() {
  static const std::vector<KeySpec> all = [] {
    std::vector<KeySpec> out(keys.begin(), keys.end());
    out.insert(out.end(), service_keys().begin(), service_keys().end());
    out.insert(out.end(), check_keys().begin(), check_keys().end());
    out.insert(out.end(), ipvs_keys().begin(), ipvs_keys().end());
    return out;
  }();
  return all;
}
std::span<const LaterKey> later_keys() {
  return later;
}

std::vector<std::string> known_keys() {
  std::vector<std::string> out;
  for (const KeySpec& spec : schema())
    out.emplace_back(spec.pattern);
  std::ranges::sort(out);
  return out;
}

}  // namespace lbctl::config
