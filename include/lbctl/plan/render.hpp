// A plan as people and programs read it.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "lbctl/model/operation.hpp"

namespace lbctl::plan {

/// One line per operation: "+" made, "~" changed in place, "-" removed; subsystem, object, values.
///   ~ ipvs tcp 192.0.2.10:80 -> 10.0.0.5:80  weight 1 -> 3
std::string render(std::span<const model::Operation> operations);
std::string render_line(const model::Operation& operation);  ///< without the newline

/// An array of objects: {"change": "add|change|remove", "subsystem", "object", "from", "to",
/// "reason"}. "from" and "to" are text as in the line; empty ones are left out.
nlohmann::ordered_json to_json(std::span<const model::Operation> operations);

/// Settings in one line, as the plan and `status` print them.
std::string describe(const model::VirtualService& settings);
std::string describe(const model::Destination& destination);
std::string describe(const model::CidScheme& scheme);
std::string describe(const model::SteerTarget& target);
std::string describe(const model::ForwardTarget& target);
std::string describe(const model::MptcpLimits& limits);
std::string describe(const model::SignalForward& forward);  ///< without its addresses
std::string describe(const model::XdpAttachment& attachment);

}  // namespace lbctl::plan
