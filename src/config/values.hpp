// Single values: from text and numbers to types, with an error that says what was expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "node.hpp"

namespace lbctl::config {

/// An address that a node can hold and a packet can be sent to.
std::optional<model::IpAddress> decode_address(const Node& node, Report& report);

/// A name that is safe in file names, metrics and on the command line.
bool check_name(std::string_view name, Span at, std::string_view what, Report& report);

/// A name that the kernel accepts for a device (dev_valid_name() in net/core/dev.c).
bool check_interface(const Node& node, Report& report);

/// Whole seconds out of "300s" or "5m"; `most` in seconds.
std::optional<std::uint32_t> decode_seconds(const Node& node, std::uint32_t most, Report& report);

/// A whole number from `least` to `most`.
std::optional<std::int64_t> decode_number(const Node& node, std::string_view what,
                                          std::int64_t least, std::int64_t most, Report& report);

}  // namespace lbctl::config
