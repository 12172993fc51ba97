#include "lbctl/engine/ledger.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lbctl::engine {

using namespace model;
using nlohmann::ordered_json;

namespace {

constexpr int schema_version = 1;

ordered_json to_json(const ServiceKey& key) {
  if (key.fwmark != 0) return {{"fwmark", key.fwmark}, {"address", key.address.text()}};
  return {{"protocol", name(key.protocol)},
          {"address", key.address.text()},
          {"port", number(key.port)}};
}

/// Throws nlohmann's exceptions and std::out_of_range on what is not a ledger; parse_ledger
/// catches them.
IpAddress address_in(const ordered_json& json) {
  const auto address = IpAddress::parse(json.at("address").get<std::string>());
  if (!address) throw std::out_of_range("not an address: " + json.at("address").dump());
  return *address;
}

Port port_in(const ordered_json& json) {
  return Port{json.at("port").get<std::uint16_t>()};
}

ServiceKey service_in(const ordered_json& json) {
  ServiceKey key{.address = address_in(json)};
  if (json.contains("fwmark")) {
    key.fwmark = json.at("fwmark").get<std::uint32_t>();
    return key;
  }
  key.protocol = json.at("protocol").get<std::string>() == name(L4::udp) ? L4::udp : L4::tcp;
  key.port = port_in(json);
  return key;
}

template <class Map, class ToKey>
ordered_json to_json(const Map& deadlines, ToKey to_key) {
  auto out = ordered_json::array();
  for (const auto& [key, deadline] : deadlines) {
    ordered_json entry = to_key(key);
    entry["deadline"] = number(deadline);
    out.push_back(std::move(entry));
  }
  return out;
}

ordered_json server_id_json(const ServerId& id) {
  return {{"id", id.low}, {"high", id.high}, {"space", static_cast<unsigned>(id.space)}};
}

ServerId server_id_in(const ordered_json& json) {
  ServerId out{json.at("id").get<std::uint64_t>()};
  if (json.contains("high")) {  // not in an older lbctl's
    out.high = json.at("high").get<std::uint64_t>();
    const auto space = json.at("space").get<std::uint8_t>();
    if (space > static_cast<std::uint8_t>(IdSpace::ipv6))
      throw std::out_of_range(fmt::format("no space of server ids: {}", space));
    out.space = IdSpace{space};
  }
  return out;
}

ordered_json to_json(const Leaving& leaving) {
  ordered_json out;
  out["destinations"] = ordered_json::array();
  for (const auto& [id, drain] : leaving.destinations)
    out["destinations"].push_back({{"service", to_json(id.service)},
                                   {"address", id.key.address.text()},
                                   {"port", number(id.key.port)},
                                   {"deadline", number(drain.deadline)},
                                   {"until", drain.until},
                                   {"asked", drain.asked},
                                   {"unhealthy", drain.unhealthy}});
  out["addresses"] = to_json(leaving.addresses, [](const IpAddress& address) {
    return ordered_json{{"address", address.text()}};
  });
  out["marked_vips"] = to_json(leaving.marked_vips, [](const IpAddress& address) {
    return ordered_json{{"address", address.text()}};
  });
  out["steered"] = to_json(leaving.steered, [](const SteeredKey& key) {
    return ordered_json{{"address", key.address.text()}, {"port", number(key.port)}};
  });
  out["server_ids"] =
      to_json(leaving.server_ids, [](const ServerId& id) { return server_id_json(id); });
  return out;
}

UnixTime deadline_in(const ordered_json& json) {
  return UnixTime{json.at("deadline").get<std::int64_t>()};
}

Leaving leaving_in(const ordered_json& json) {
  Leaving out;
  for (const auto& entry : json.at("destinations"))
    out.destinations[{service_in(entry.at("service")), {address_in(entry), port_in(entry)}}] = {
        deadline_in(entry), entry.at("until").get<std::uint32_t>(), entry.at("asked").get<bool>(),
        entry.value("unhealthy", false)};  // not in an older lbctl's
  for (const auto& entry : json.at("addresses"))
    out.addresses[address_in(entry)] = deadline_in(entry);
  if (json.contains("marked_vips"))  // not in an older lbctl's
    for (const auto& entry : json.at("marked_vips"))
      out.marked_vips[address_in(entry)] = deadline_in(entry);
  for (const auto& entry : json.at("steered"))
    out.steered[{address_in(entry), port_in(entry)}] = deadline_in(entry);
  for (const auto& entry : json.at("server_ids"))
    out.server_ids[server_id_in(entry)] = deadline_in(entry);
  return out;
}

ordered_json ipvs_node_json(const Ledger& ledger) {
  ordered_json out;
  out["timeouts"] = {{"tcp", ledger.timeouts.tcp},
                     {"tcp_fin", ledger.timeouts.tcp_fin},
                     {"udp", ledger.timeouts.udp}};
  out["daemons"] = ordered_json::array();
  for (const auto& [role, daemon] : ledger.daemons)
    out["daemons"].push_back({{"role", name(role)},
                              {"device", daemon.device},
                              {"id", daemon.id},
                              {"max_length", daemon.max_length},
                              {"address", daemon.group.text()},
                              {"port", number(daemon.port)},
                              {"ttl", daemon.ttl}});
  return out;
}

void ipvs_node_in(const ordered_json& json, Ledger& out) {
  const auto& timeouts = json.at("timeouts");
  out.timeouts = {timeouts.at("tcp").get<std::uint32_t>(),
                  timeouts.at("tcp_fin").get<std::uint32_t>(),
                  timeouts.at("udp").get<std::uint32_t>()};
  for (const auto& entry : json.at("daemons")) {
    const bool master = entry.at("role").get<std::string>() == name(SyncRole::master);
    out.daemons.insert({master ? SyncRole::master : SyncRole::backup,
                        {.device = entry.at("device").get<std::string>(),
                         .id = entry.at("id").get<std::uint8_t>(),
                         .max_length = entry.at("max_length").get<std::uint16_t>(),
                         .group = address_in(entry),
                         .port = port_in(entry),
                         .ttl = entry.at("ttl").get<std::uint8_t>()}});
  }
}

ordered_json tunnels_json(const Ledger& ledger) {
  ordered_json out;
  out["devices"] = ledger.tunnels;
  out["ports"] = ordered_json::array();
  for (const FouKey& key : ledger.fou)
    out["ports"].push_back({{"family", name(key.family)}, {"port", number(key.port)}});
  return out;
}

void tunnels_in(const ordered_json& json, Ledger& out) {
  out.tunnels = json.at("devices").get<std::set<std::string>>();
  for (const auto& entry : json.at("ports")) {
    const bool v6 = entry.at("family").get<std::string>() == name(Family::v6);
    out.fou.insert({v6 ? Family::v6 : Family::v4, port_in(entry)});
  }
}

Ledger ledger_in(const ordered_json& json) {
  if (const int version = json.at("schema_version").get<int>(); version != schema_version)
    throw std::out_of_range(fmt::format("schema_version {} is not {}", version, schema_version));
  Ledger out;
  for (const auto& entry : json.at("services"))
    out.services.insert(service_in(entry));
  for (const auto& entry : json.at("endpoints"))
    out.endpoints.insert({address_in(entry), Port{entry.at("port").get<std::uint16_t>()}});
  out.sysctls = json.at("sysctls").get<SysctlState>();
  if (json.contains("limits"))
    out.limits = MptcpLimits{json.at("limits").at("subflows").get<std::uint32_t>(),
                             json.at("limits").at("add_addr_accepted").get<std::uint32_t>()};
  if (json.contains("ipvs")) ipvs_node_in(json.at("ipvs"), out);
  if (json.contains("tunnels")) tunnels_in(json.at("tunnels"), out);
  out.nft = json.at("nft").get<bool>();
  out.xdp = json.at("xdp").get<bool>();
  if (json.contains("leaving")) out.leaving = leaving_in(json.at("leaving"));
  return out;
}

}  // namespace

std::string to_text(const Ledger& ledger) {
  ordered_json json;
  json["schema_version"] = schema_version;
  json["services"] = ordered_json::array();
  for (const ServiceKey& key : ledger.services)
    json["services"].push_back(to_json(key));
  json["endpoints"] = ordered_json::array();
  for (const EndpointKey& key : ledger.endpoints)
    json["endpoints"].push_back({{"address", key.address.text()}, {"port", number(key.port)}});
  json["sysctls"] = ordered_json(ledger.sysctls);
  if (ledger.limits)
    json["limits"] = {{"subflows", ledger.limits->subflows},
                      {"add_addr_accepted", ledger.limits->add_addr_accepted}};
  if (!ledger.timeouts.empty() || !ledger.daemons.empty()) json["ipvs"] = ipvs_node_json(ledger);
  if (!ledger.tunnels.empty() || !ledger.fou.empty()) json["tunnels"] = tunnels_json(ledger);
  json["nft"] = ledger.nft;
  json["xdp"] = ledger.xdp;
  if (!ledger.leaving.empty()) json["leaving"] = to_json(ledger.leaving);
  return json.dump(1) + "\n";
}

Result<Ledger> parse_ledger(std::string_view text) {
  try {
    return ledger_in(ordered_json::parse(text));
  } catch (const std::exception& e) {
    return fail(Errc::invalid, fmt::format("the ledger cannot be read: {}", e.what()));
  }
}

}  // namespace lbctl::engine
