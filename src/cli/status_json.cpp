#include <fmt/format.h>

#include "lbctl/plan/render.hpp"
#include "status.hpp"
#include "status_figures.hpp"

namespace lbctl::cli {

using namespace model;

namespace {

Json sync_json(const IpvsNode& node) {
  Json out = Json::array();
  for (const auto& [role, daemon] : node.daemons)
    out.push_back({{"role", name(role)},
                   {"interface", daemon.device},
                   {"id", daemon.id},
                   {"maxlen", daemon.max_length},
                   {"group", daemon.group.text()},
                   {"port", number(daemon.port)},
                   {"ttl", daemon.ttl}});
  return out;
}

Json tunnels_json(const TunnelState& tunnels) {
  Json out{{"devices", Json::array()}, {"ports", Json::array()}};
  for (const auto& [device, tunnel] : tunnels.devices)
    out["devices"].push_back({{"interface", device},
                              {"kind", name(tunnel.kind)},
                              {"local", tunnel.local.text()},
                              {"checksum", tunnel.checksum},
                              {"up", tunnel.up}});
  for (const auto& [key, port] : tunnels.ports)
    out["ports"].push_back(
        {{"family", name(key.family)}, {"port", number(key.port)}, {"gue", port.gue}});
  return out;
}

Json drains_json(const engine::DrainList& list) {
  Json out = Json::array();
  for (const DrainIntent& intent : list) {
    Json entry{{"server", intent.server}};
    if (intent.service) entry["service"] = *intent.service;
    entry["since"] = number(intent.since);
    if (intent.seconds) entry["seconds"] = *intent.seconds;
    entry["until"] = intent.until;
    entry["persistent"] = intent.persistent;
    out.push_back(std::move(entry));
  }
  return out;
}

Json services_json(const IpvsState& ipvs, const IpvsCounters& counters) {
  Json out = Json::array();
  for (const auto& [key, service] : ipvs) {
    Json entry{{"protocol", name(key.protocol)},
               {"address", key.address.text()},
               {"port", number(key.port)},
               {"fwmark", key.fwmark},
               {"scheduler", service.scheduler},
               {"scheduler_flags", scheduler_flag_names(service)},
               {"persistence_timeout", service.persistence_timeout},
               {"persistence_prefix", service.persistence_prefix},
               {"one_packet", service.flags.one_packet}};
    entry["destinations"] = Json::array();
    for (const auto& [to, destination] : service.destinations) {
      const auto it = counters.find({key, to});
      const DestinationCounters live = it == counters.end() ? DestinationCounters{} : it->second;
      Json one{{"address", to.address.text()},
               {"port", number(to.port)},
               {"forward", name(destination.forward)},
               {"weight", number(destination.weight)},
               {"uthreshold", destination.upper_threshold},
               {"lthreshold", destination.lower_threshold}};
      if (destination.forward == Forward::tunnel)
        one["tunnel"] = {{"type", name(destination.tunnel.type)},
                         {"port", number(destination.tunnel.port)},
                         {"checksum", name(destination.tunnel.checksum)}};
      one["active_connections"] = live.active_connections;
      one["inactive_connections"] = live.inactive_connections;
      one["connections"] = live.connections;
      one["packets_in"] = live.packets_in;
      one["bytes_in"] = live.bytes_in;
      entry["destinations"].push_back(std::move(one));
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Json endpoints_json(const std::set<EndpointKey>& keys) {
  Json out = Json::array();
  for (const EndpointKey& key : keys)
    out.push_back({{"address", key.address.text()}, {"port", number(key.port)}});
  return out;
}

Json signals_json(const NftState& nft, const std::optional<SignalCounters>& counters) {
  if (!nft.forward) return nullptr;
  Json out{{"client_interfaces", nft.forward->client_devices},
           {"interface", nft.forward->server_device},
           {"intact", nft.intact}};
  out["mptcp_only"] = endpoints_json(nft.forward->mptcp_only);
  out["limits"] = Json::array();
  for (const auto& [name, limit] : nft.forward->limits)
    out["limits"].push_back({{"name", name},
                             {"rate", limit.rate.packets},
                             {"per", model::name(limit.rate.per)},
                             {"burst", limit.rate.burst},
                             {"prefix", limit.prefix},
                             {"to", endpoints_json(limit.to)}});
  out["addresses"] = Json::array();
  for (const auto& [signal, target] : nft.forward->addresses) {
    Json one{{"signal", signal.address.text()},
             {"port", number(signal.port)},
             {"server", target.server ? Json(target.server->text()) : Json()},
             {"join_only", target.join_only}};
    if (counters && counters->brought_home.contains(signal))
      one["packets"] = counters->brought_home.at(signal);
    out["addresses"].push_back(std::move(one));
  }
  if (counters)
    for (const auto& [figure, n] : figures(*counters))
      out["dropped"][figure] = n;
  return out;
}

Json marks_json(const NftState& nft) {
  if (!nft.marks) return nullptr;
  Json out{{"intact", nft.marks_intact}};
  out["marks"] = Json::array();
  for (const auto& [key, mark] : *nft.marks)
    out["marks"].push_back({{"address", key.address.text()},
                            {"protocol", name(key.protocol)},
                            {"first_port", number(key.ports.first)},
                            {"last_port", number(key.ports.last)},
                            {"fwmark", mark.value},
                            {"untracked", mark.untracked}});
  return out;
}

Json endpoints_json(const MptcpState& mptcp) {
  Json out = Json::array();
  for (const auto& [key, endpoint] : mptcp.endpoints)
    out.push_back({{"address", key.address.text()},
                   {"port", number(key.port)},
                   {"id", endpoint.id},
                   {"flags", endpoint.text()}});
  return out;
}

/// In the words of the file.
Json cid_json(const CidScheme& scheme) {
  Json out{{"scheme", name(scheme.format)}, {"cid_length", scheme.cid_length()}};
  switch (scheme.format) {
    case CidFormat::quic_lb:
      out["config"] = scheme.config;
      out["id_length"] = scheme.id_length;
      out["nonce_length"] = scheme.nonce_length;
      break;
    case CidFormat::katran:
      out["version"] = scheme.version;
      break;
    case CidFormat::raw:
      out["offset"] = scheme.offset;
      out["id_length"] = scheme.id_length;
      break;
    case CidFormat::dpvs:
      out["id_length"] = scheme.id_length;
      break;
    case CidFormat::msquic:
      break;
  }
  out["encrypted"] = scheme.encrypted;
  if (scheme.key) out["key_check"] = scheme.key->check();
  return out;
}

/// A number where JSON's readers can hold it, and what text() says otherwise.
Json server_id_json(const ServerId& id) {
  const bool plain = id.space == IdSpace::number && id.high == 0 && id.low >> 63 == 0;
  return {{"id", plain ? Json(id.low) : Json(id.text())}};
}

Json packets_json(const kernel::XdpCounters& counters) {
  Json out;
  for (const auto& [figure, n] : counters.named())
    out[figure] = n;
  return out;
}

Json steering_json(const XdpState& xdp, const std::optional<kernel::XdpFigures>& counters) {
  Json out;
  out["attachments"] = Json::array();
  for (const auto& [device, attachment] : xdp.attachments)
    out["attachments"].push_back(
        {{"interface", device}, {"mode", name(attachment.mode)}, {"program", attachment.program}});
  out["services"] = Json::array();
  for (const auto& [key, service] : xdp.services) {
    Json cids = Json::array();
    for (const CidScheme& scheme : service.cids)
      cids.push_back(cid_json(scheme));
    out["services"].push_back({{"address", key.address.text()},
                               {"port", number(key.port)},
                               {"cid", std::move(cids)},
                               {"initial", service.keep_long ? "local" : "steer"},
                               {"unknown", service.drop_unknown ? "drop" : "pass"}});
    if (counters && counters->services.contains(key))
      out["services"].back()["packets"] = packets_json(counters->services.at(key));
  }
  out["servers"] = Json::array();
  for (const auto& [id, target] : xdp.servers) {
    Json entry = server_id_json(id);
    entry["local"] = target.local;
    if (!target.local) entry["mac"] = target.mac.is_zero() ? Json() : Json(target.mac.text());
    if (target.tunnel)
      entry["tunnel"] = {{"source", target.tunnel->source.text()},
                         {"destination", target.tunnel->destination.text()},
                         {"mtu", target.tunnel->mtu}};
    if (counters && !target.local && counters->servers.contains(id))
      entry["sent"] = counters->servers.at(id);
    out["servers"].push_back(std::move(entry));
  }
  if (counters) out["packets"] = packets_json(counters->total);
  return out;
}

Json units_json(const UnitState& units) {
  Json out = Json::array();
  for (const auto& [unit, how] : units.mptcpized)
    out.push_back({{"unit", unit},
                   {"way", name(how.way)},
                   {"asked_by", how.asked_by == AskedBy::hand ? "hand" : "file"},
                   {"intact", how.intact}});
  return out;
}

}  // namespace

Json status_json(const engine::Preview& preview, const std::optional<kernel::XdpFigures>& counters,
                 const engine::DrainList& drain_list) {
  const NodeState& ours = preview.split.ours;
  const NodeState& others = preview.split.foreign;
  Json out;
  out["result"] = preview.plan.operations.empty() ? "matches" : "differs";
  out["services"] = services_json(ours.ipvs, preview.observed.ipvs_counters);
  out["signal_addresses"] = signals_json(ours.nft, preview.observed.signal_counters);
  out["firewall_marks"] = marks_json(ours.nft);
  out["addresses"] = Json::array();
  for (const auto& [key, settings] : ours.addresses)
    out["addresses"].push_back(
        {{"address", key.address.text()}, {"prefix", key.prefix}, {"interface", key.device}});
  out["endpoints"] = endpoints_json(ours.mptcp);
  out["sync_daemons"] = sync_json(ours.ipvs_node);
  out["tunnels"] = tunnels_json(ours.tunnels);
  out["steering"] = steering_json(ours.xdp, counters);
  out["mptcpized"] = units_json(ours.units);
  out["drains"] = drains_json(drain_list);
  out["leaving"] =
      plan::to_json(preview.plan.stays, preview.observed, engine::Engine::system_time());
  out["differences"] = plan::to_json(preview.plan.operations);
  out["refusals"] = Json::array();
  for (const Error& refusal : preview.refusals)
    out["refusals"].push_back(to_json(refusal));
  out["foreign"] = {{"services", services_json(others.ipvs, preview.observed.ipvs_counters)},
                    {"endpoints", endpoints_json(others.mptcp)},
                    {"sync_daemons", sync_json(others.ipvs_node)},
                    {"xdp_programs", others.xdp.foreign},
                    {"mptcpize_drop_ins", others.units.foreign}};
  return out;
}

}  // namespace lbctl::cli
