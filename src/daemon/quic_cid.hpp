// The connection ID that a QUIC server chose, and whether it names the server. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "probe.hpp"

namespace lbctl::daemon {

/// The source of a long header that is neither Retry nor Version Negotiation (RFC 9000, 17.2),
/// which is what packets for the connection must name. Nothing: the datagram begins with no such
/// header.
std::optional<std::string_view> issued_cid(std::string_view datagram);

/// What is wrong with it; empty: it names the server, by the first slot that fits. Slots have keys.
std::string wrong_cid(std::span<const ProbeSpec::CidSlot> slots, std::string_view cid);

}  // namespace lbctl::daemon
