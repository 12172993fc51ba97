// lbctl explain: which server a flow or a connection ID belongs to, and why.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cid_names.hpp"
#include "explain_view.hpp"
#include "lbctl/explain/flow.hpp"
#include "lbctl/kernel/listeners.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {
namespace {

Exit misused(const std::string& what) {
  fmt::print(stderr, "lbctl: error: {}\nSee lbctl explain --help.\n", what);
  return Exit::usage;
}

// --- connection IDs: by the file alone

/// What a service makes of a connection ID.
struct OfService {
  std::string name;
  model::CidSchemes slots;
  std::vector<explain::Reading> readings;
  std::optional<std::size_t> decides;  ///< which slot
  std::string server;                  ///< empty: none
  bool drops = false;                  ///< what names nobody

  std::string_view result() const {
    return !decides ? "unroutable" : server.empty() ? "unknown_id" : "known_id";
  }
};

OfService read_by(const config::Config& config, const config::Service& service,
                  model::CidSchemes slots, const explain::Octets& cid) {
  OfService out{.name = service.name, .slots = std::move(slots)};
  out.readings = explain::read_slots(out.slots, cid);
  const auto fits =
      std::ranges::find_if(out.readings, [](const auto& r) { return r.id.has_value(); });
  out.drops = service.quic.unknown == config::Unknown::drop;
  if (fits == out.readings.end()) return out;
  out.decides = static_cast<std::size_t>(fits - out.readings.begin());
  if (!fits->id->is_zero())
    out.server = server_with(config, service, out.slots[*out.decides], *fits->id);
  return out;
}

std::string text(const OfService& of) {
  const std::string fate = of.drops && of.decides ? "dropped" : "where IPVS sends it";
  std::string out = fmt::format("service {}: {}\n", of.name,
                                !of.server.empty() ? of.server : "no server; " + fate);
  for (std::size_t i = 0; i < of.slots.size(); ++i) {
    const explain::Reading& reading = of.readings[i];
    std::string says = "does not fit: " + reading.misfit;
    if (!reading.asked)
      says = fmt::format("not asked: layout {} decides", *of.decides + 1);
    else if (reading.id)
      says = fmt::format("server id {}, {}", reading.id->text(),
                         of.server.empty() ? "which no server has" : "which is " + of.server);
    out += fmt::format("  layout {}: {}: {}\n", i + 1, plan::describe(of.slots[i]), says);
  }
  return out;
}

Json to_json(const OfService& of) {
  Json out;
  out["service"] = of.name;
  out["result"] = of.result();
  if (!of.server.empty()) out["server"] = of.server;
  if (of.decides) out["layout"] = *of.decides + 1;
  out["layouts"] = Json::array();
  for (std::size_t i = 0; i < of.slots.size(); ++i) {
    Json one{{"layout", i + 1}, {"scheme", name(of.slots[i].format)}};
    one["fits"] = of.readings[i].id.has_value();
    one["asked"] = of.readings[i].asked;
    if (of.readings[i].id)
      one["id"] = of.readings[i].id->text();
    else
      one["why"] = of.readings[i].misfit;
    out["layouts"].push_back(std::move(one));
  }
  return out;
}

Exit explain_cid(const Options& options, const explain::Octets& cid) {
  const auto config = load(options, "explain");
  if (!config) return config.error();
  std::vector<OfService> services;
  for (const auto& [name, service] : config->services) {
    if (!service.has(config::Protocol::quic) || (options.service && options.service != name))
      continue;
    auto slots = schemes_of(service);
    if (!slots) return give_up(options, "explain", slots.error());
    services.push_back(read_by(*config, service, std::move(*slots), cid));
  }
  if (services.empty())
    return give_up(
        options, "explain",
        Error(Errc::not_found, options.service
                                   ? fmt::format("no service \"{}\" with quic", *options.service)
                                   : "no service has quic"));
  if (options.json) {
    Json json = document("explain");
    json["cid"] = explain::hex(cid);
    json["services"] = Json::array();
    for (const OfService& one : services)
      json["services"].push_back(to_json(one));
    print(json);
  } else {
    for (const OfService& one : services)
      fmt::print("{}", text(one));
  }
  return Exit::done;
}

// --- flows: by what the kernel of this node holds

bool is_one_of(const auto& values, const auto& value) {
  return std::ranges::find(values, value) != values.end();
}

/// "rs1 (192.0.2.11)", or the address alone.
std::string server_at(const config::Config& config, const model::IpAddress& address) {
  for (const auto& [name, server] : config.servers)
    if (is_one_of(server.addresses, address)) return fmt::format("{} ({})", name, address.text());
  return address.text();
}

bool is_of(const config::Service& service, const model::ServiceKey& key) {
  if (key.fwmark != 0) return key.fwmark == service.fwmark;
  return is_one_of(service.vips, key.address) && is_one_of(service.ports, key.port) &&
         std::ranges::any_of(service.protocols,
                             [&](auto protocol) { return layer4(protocol) == key.protocol; });
}

/// What the file gives a destination.
model::Weight weight_of(const config::Config& config, const model::ServiceKey& key,
                        const model::DestinationKey& destination) {
  for (const auto& [name, service] : config.services) {
    if (!is_of(service, key)) continue;
    for (const auto& [server, use] : service.servers)
      if (is_one_of(config.servers.at(server).addresses, destination.address)) return use.weight;
  }
  return {};
}

Result<explain::Explanation> explain_here(const model::Flow& flow, const Wanted& wanted,
                                          const Seen& seen,
                                          const std::optional<explain::Octets>& cid) {
  const config::Config& config = wanted.config;
  const model::NodeState& state = seen.observed.state;
  if (wanted.desired.role == config::Role::director) {
    const auto found = seen.connections.find(flow);
    std::optional<model::IpvsConnection> connection;
    if (found != seen.connections.end()) connection = found->second;
    return explain::explain_on_director(
        flow, {state, seen.observed.ipvs_counters, std::move(connection),
               [&](const auto& key, const auto& to) { return weight_of(config, key, to); },
               [&](const auto& address) { return server_at(config, address); }});
  }
  auto listeners = kernel::read_listeners(flow.protocol, flow.port);
  if (!listeners) return fail(std::move(listeners.error()));
  return explain::explain_on_server(flow, {state, std::move(*listeners), cid, [&](const auto& id) {
                                             return server_called(config, id);
                                           }});
}

std::string text(const explain::Explanation& of, const std::string& server) {
  switch (of.verdict) {
    case explain::Verdict::to_server:
      return "goes to " + server;
    case explain::Verdict::depends:
      return "depends";
    case explain::Verdict::local:
      return "is taken by this node";
    case explain::Verdict::refused:
      return "is refused";
    case explain::Verdict::not_here:
      break;
  }
  return "nothing here is about it";
}

void add(const model::Flow& flow, const explain::Explanation& of, const config::Config& config,
         const Options& options, Json& flows) {
  const std::string server = of.server ? server_at(config, *of.server) : of.server_name;
  if (!options.json) {
    fmt::print("{}: {}\n", flow.text(), text(of, server));
    for (const explain::Step& step : of.steps)
      fmt::print("  {:<10}  {}\n", step.part, step.says);
    return;
  }
  Json one{{"flow", flow.text()}, {"verdict", name(of.verdict)}};
  if (of.server) one["address"] = of.server->text();
  if (!server.empty()) one["server"] = server.substr(0, server.find(" ("));
  one["steps"] = Json::array();
  for (const explain::Step& step : of.steps)
    one["steps"].push_back({{"part", step.part}, {"says", step.says}});
  flows.push_back(std::move(one));
}

Exit explain_flows(const Options& options, std::span<const model::Flow> flows,
                   const std::optional<explain::Octets>& cid) {
  const auto wanted = wanted_here(options, "explain");
  if (!wanted) return wanted.error();
  const auto seen = look(options, *wanted, flows);
  if (!seen) return give_up(options, "explain", seen.error());

  Json json = document("explain");
  json["node"] = wanted->desired.node;
  json["role"] = name(wanted->desired.role);
  json["flows"] = Json::array();
  if (!options.json) fmt::print("{}\n", title(wanted->desired));
  for (const model::Flow& flow : flows) {
    const auto found = explain_here(flow, *wanted, *seen, cid);
    if (!found) return give_up(options, "explain", found.error());
    add(flow, *found, wanted->config, options, json["flows"]);
  }
  if (options.json) print(json);
  return Exit::done;
}

}  // namespace

Exit explain(const Options& options) {
  if (!options.live && (options.one_in != 1 || options.count))
    return misused("--sample and --count go with --live");
  if (options.live && (!options.cid.empty() || options.service))
    return misused("--live goes with flows alone");
  if (!options.live && options.flows.empty() && options.cid.empty())
    return misused("name a flow, or a connection ID by --cid");
  if (!options.flows.empty() && options.service)
    return misused("--service goes with --cid alone: a flow names its service");
  std::vector<model::Flow> flows;
  for (const std::string& one : options.flows) {
    const auto flow = model::Flow::parse(one);
    if (!flow)
      return misused(fmt::format(
          "\"{}\" is no flow such as \"198.51.100.7:51000 -> 192.0.2.100:443/udp\"", one));
    flows.push_back(*flow);
  }
  if (options.live) return explain_live(options, flows);
  std::optional<explain::Octets> cid;
  if (!options.cid.empty()) {
    auto octets = explain::parse_octets(options.cid);
    if (!octets) return give_up(options, "explain", octets.error());
    cid = std::move(*octets);
  }
  return flows.empty() ? explain_cid(options, *cid) : explain_flows(options, flows, cid);
}

}  // namespace lbctl::cli
