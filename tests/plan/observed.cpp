#include "observed.hpp"

#include <stdexcept>
#include <toml.hpp>

namespace golden {

using namespace lbctl::model;

namespace {

using Table = std::map<std::string, toml::value>;

IpAddress ip(const std::string& text) {
  const auto out = IpAddress::parse(text);
  if (!out) throw std::runtime_error("not an address: " + text);
  return *out;
}

MacAddress mac(const std::string& text) {
  MacAddress out;
  for (std::size_t i = 0; i < 6; ++i)
    out.octets.at(i) = static_cast<std::uint8_t>(std::stoul(text.substr(3 * i, 2), nullptr, 16));
  return out;
}

std::vector<toml::value> list(const toml::value& from, const std::string& key) {
  return toml::find_or<std::vector<toml::value>>(from, key, {});
}

template <class T>
std::map<std::string, T> dictionary(const toml::value& from, const std::string& key) {
  return toml::find_or<std::map<std::string, T>>(from, key, {});
}

void read_ipvs(const toml::value& entry, ObservedFile& out) {
  ServiceKey key{ip(toml::find<std::string>(entry, "address")),
                 toml::find<std::string>(entry, "protocol") == "udp" ? L4::udp : L4::tcp,
                 Port{toml::find<std::uint16_t>(entry, "port")}};
  VirtualService service;
  service.scheduler = toml::find<std::string>(entry, "scheduler");
  for (const auto& flag : toml::find_or<std::vector<std::string>>(entry, "flags", {})) {
    if (flag == "mh-fallback" || flag == "sh-fallback") service.flags.sched1 = true;
    if (flag == "mh-port" || flag == "sh-port") service.flags.sched2 = true;
  }
  service.persistence_prefix = key.address.full_prefix();
  for (const auto& [address, weight] : dictionary<std::uint16_t>(entry, "destinations"))
    service.destinations[{ip(address), key.port}] = {.weight = Weight{weight}};
  for (const auto& [address, active] : dictionary<std::uint32_t>(entry, "connections"))
    out.counters[{key, {ip(address), key.port}}].active_connections = active;
  for (const auto& [address, deadline] : dictionary<std::int64_t>(entry, "deadlines"))
    out.ledger.leaving.destinations[{key, {ip(address), key.port}}] = {UnixTime{deadline}};
  if (!toml::find_or(entry, "foreign", false)) out.ledger.services.insert(key);
  out.state.ipvs.emplace(key, service);
}

void read_nft(const toml::value& nft, NftState& out) {
  SignalForward forward;
  for (const auto& device : toml::find<std::vector<std::string>>(nft, "client_devices"))
    forward.client_devices.insert(device);
  forward.server_device = toml::find_or<std::string>(nft, "server_device", "");
  const bool join_only = toml::find_or(nft, "join_only", true);
  for (const auto& [signal, server] : dictionary<std::string>(nft, "addresses"))
    forward.addresses[{ip(signal)}] = {server.empty() ? std::nullopt : std::optional(ip(server)),
                                       join_only};
  out.forward = forward;
  out.intact = toml::find_or(nft, "intact", true);
}

void read_xdp(const toml::value& xdp, XdpState& out) {
  for (const auto& [device, program] : dictionary<std::string>(xdp, "attachments"))
    out.attachments[device] = {XdpMode::generic, program};
  for (const auto& vip : toml::find_or<std::vector<std::string>>(xdp, "services", {}))
    out.services[{ip(vip), Port{toml::find<std::uint16_t>(xdp, "port")}}] = {{CidScheme{}}};
  for (const auto& [id, where] : dictionary<std::string>(xdp, "servers"))
    out.servers[ServerId{std::stoull(id)}] =
        where == "here" ? SteerTarget{.local = true} : SteerTarget{false, mac(where)};
  out.foreign = dictionary<std::string>(xdp, "foreign");
}

/// The ways by units' names, of the file and of the hand, and foreign drop-ins.
void read_units(const toml::value& units, ObservedFile& out) {
  const auto read = [&](const char* key, AskedBy asked_by) {
    for (const auto& [unit, way] : dictionary<std::string>(units, key))
      out.state.units.mptcpized[unit] = {way == "bpf" ? MptcpWay::bpf : MptcpWay::preload, asked_by,
                                         true};
  };
  read("by_file", AskedBy::file);
  read("by_hand", AskedBy::hand);
  for (const auto& [unit, how] : out.state.units.mptcpized)
    if (how.asked_by == AskedBy::hand) out.facts.units.by_hand.emplace(unit, how);
  for (const auto& unit : toml::find_or<std::vector<std::string>>(units, "foreign", {}))
    out.state.units.foreign.insert(unit);
}

void read_endpoint(const toml::value& entry, ObservedFile& out) {
  const EndpointKey key{ip(toml::find<std::string>(entry, "address")), Port{0}};
  out.state.mptcp.endpoints[key] = {.signal = toml::find_or(entry, "signal", false),
                                    .subflow = toml::find_or(entry, "subflow", false)};
  if (!toml::find_or(entry, "foreign", false)) out.ledger.endpoints.insert(key);
}

}  // namespace

ObservedFile read_observed(const std::filesystem::path& path) {
  const toml::value file = toml::parse(path);
  ObservedFile out;
  out.node = toml::find<std::string>(file, "node");
  out.facts.xdp_program = "new";
  out.facts.units.socket_hook = toml::find_or(file, "socket_hook", false);
  out.facts.units.library = toml::find_or(file, "libmptcpwrap", false);
  for (const auto& [address, text] : dictionary<std::string>(file, "neighbours"))
    out.facts.neighbours[ip(address)] = mac(text);
  out.now = UnixTime{toml::find_or<std::int64_t>(file, "now", 0)};
  for (const auto& [address, count] : dictionary<std::uint32_t>(file, "sockets"))
    out.sockets[ip(address)] = count;
  out.state.sysctls = dictionary<std::string>(file, "sysctls");
  out.ledger.sysctls = dictionary<std::string>(file, "sysctls_before");
  for (const auto& entry : list(file, "ipvs"))
    read_ipvs(entry, out);
  if (file.contains("nft")) read_nft(toml::find(file, "nft"), out.state.nft);
  for (const auto& entry : list(file, "addresses")) {
    const IpAddress address = ip(toml::find<std::string>(entry, "address"));
    const auto prefix = toml::find_or<std::uint8_t>(entry, "prefix", address.full_prefix());
    const bool foreign = toml::find_or(entry, "foreign", false);
    out.state.addresses[{toml::find<std::string>(entry, "dev"), address, prefix}] = {
        foreign ? std::uint8_t{0} : rtnl_protocol, false};
  }
  for (const auto& entry : list(file, "endpoints"))
    read_endpoint(entry, out);
  if (file.contains("xdp")) read_xdp(toml::find(file, "xdp"), out.state.xdp);
  if (file.contains("units")) read_units(toml::find(file, "units"), out);
  return out;
}

}  // namespace golden
