// A plan as people and programs read it.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "lbctl/model/leaving.hpp"
#include "lbctl/model/operation.hpp"

namespace lbctl::plan {

/// One line per operation: "+" made, "~" changed in place, "-" removed; subsystem, object, values.
///   ~ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  weight 1 -> 3
std::string render(std::span<const model::Operation> operations);
std::string render_line(const model::Operation& operation);  ///< without the newline

/// An array of objects: {"change": "add|change|remove", "subsystem", "object", "from", "to",
/// "reason", "disruption"}. "from" and "to" are text as in the line; empty ones are left out.
/// "disruption" is there where connections live: {"connections", "effect": "drain|cut"}.
nlohmann::ordered_json to_json(std::span<const model::Operation> operations);

/// What is on its way out, a line each, with the connections that it still has and the time that
/// it has at most: "ipvs tcp … -> …  12 connections, at most 4m47s more  (not in the file)".
std::vector<std::string> render(const model::Leaving& leaving, const model::Observed& observed,
                                model::UnixTime now);
/// [{"subsystem", "object", "connections", "deadline", "seconds_left", "reason"}]; "connections"
/// is left out where nobody knows.
nlohmann::ordered_json to_json(const model::Leaving& leaving, const model::Observed& observed,
                               model::UnixTime now);
std::string duration(std::int64_t seconds);  ///< "1h5m", "4m47s", "0s"

/// What of a plan nothing brings back, neither a revert nor another apply: a line each.
std::vector<std::string> irrevocable(std::span<const model::Operation> operations);

/// Settings in one line, as the plan and `status` print them.
std::string describe(const model::VirtualService& settings);
std::string describe(const model::Destination& destination);
std::string describe(const model::CidScheme& scheme);
std::string describe(const model::SteeredService& service);
std::string describe(const model::SteerTarget& target);
std::string describe(const model::ForwardTarget& target);
std::string describe(const model::MptcpLimits& limits);
std::string describe(const model::IpvsTimeouts& timeouts);
std::string describe(const model::SyncDaemon& daemon);
std::string describe(const model::TunnelDevice& device);
std::string describe(const model::FouPort& port);
std::string describe(const model::SignalForward& forward);  ///< without its addresses
std::string describe(const model::MarkChains& chains);
std::string describe(const model::XdpAttachment& attachment);

}  // namespace lbctl::plan
