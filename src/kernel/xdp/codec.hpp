// Between the model and the values in the program's tables. Pure.
#pragma once

#include "layouts.hpp"
#include "lbctl/base/result.hpp"
#include "lbctl/model/xdp.hpp"
#include "quic_steer.h"

namespace lbctl::kernel::xdp {

VipLayout::Key encode(const model::SteeredKey& key);
model::SteeredKey decode(const VipLayout::Key& key);

/// Errc::invalid for schemes outside the limits that CidScheme names, for more than QS_MAX_SLOTS of
/// them, and where a key is missing. The row holds key schedules: it is to be wiped.
Result<qs_service> encode(const model::SteeredService& steered);
/// With the keys. Errc::conflict for a row that no schemes describe: another lbctl wrote it.
Result<model::SteeredService> decode(const qs_service& service);

/// Errc::invalid for 0 and for ids above 2^120-1.
Result<ServerLayout::Key> encode(const model::ServerId& id);
/// Errc::conflict for a space that the model does not know.
Result<model::ServerId> decode(const ServerLayout::Key& key);

/// QS_KIND and QS_OPERAND of a target without a tunnel.
__u64 encode(const model::SteerTarget& target);
/// A row of the tunnels. Errc::invalid for addresses of two families and an impossible MTU.
Result<qs_tunnel> encode(const model::SteerTunnel& tunnel, const model::MacAddress& next_hop);
model::SteerTarget decode(const qs_tunnel& tunnel);
/// Errc::conflict for a kind that the model does not know.
Result<model::SteerTarget> decode(__u64 target);

/// QS_MAC_WORD().
__u64 mac_word(const model::MacAddress& mac);

}  // namespace lbctl::kernel::xdp
