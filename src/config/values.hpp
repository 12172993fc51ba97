// Single values: from text and numbers to types, with an error that says what was expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lbctl/model/nft.hpp"
#include "node.hpp"
#include "ranges.hpp"

namespace lbctl::config {

/// An address that a node can hold and a packet can be sent to.
std::optional<model::IpAddress> decode_address(const Node& node, Report& report);

/// A name that is safe in file names, metrics and on the command line.
bool check_name(std::string_view name, Span at, std::string_view what, Report& report);

/// A name that the kernel accepts for a device (dev_valid_name() in net/core/dev.c).
bool check_interface(const Node& node, Report& report);

/// Whole seconds out of "300s" or "5m"; the range in seconds.
std::optional<std::uint32_t> decode_seconds(const Node& node, Range range, Report& report);

/// "200/second"; the burst is left 0.
std::optional<model::Rate> decode_rate(const Node& node, Range range, Report& report);

/// A whole number within the range.
std::optional<std::int64_t> decode_number(const Node& node, std::string_view what, Range range,
                                          Report& report);

}  // namespace lbctl::config
