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

ServiceKey service_in(const ordered_json& json) {
  ServiceKey key{.address = address_in(json)};
  if (json.contains("fwmark")) {
    key.fwmark = json.at("fwmark").get<std::uint32_t>();
    return key;
  }
  key.protocol = json.at("protocol").get<std::string>() == name(L4::udp) ? L4::udp : L4::tcp;
  key.port = Port{json.at("port").get<std::uint16_t>()};
  return key;
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
  out.nft = json.at("nft").get<bool>();
  out.xdp = json.at("xdp").get<bool>();
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
  json["nft"] = ledger.nft;
  json["xdp"] = ledger.xdp;
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
