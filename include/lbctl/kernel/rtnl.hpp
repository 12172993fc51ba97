// Addresses, through rtnetlink. What lbctl adds carries model::rtnl_protocol (IFA_PROTO, Linux
// 5.18), and only such addresses are ever removed.
#pragma once

#include <memory>

#include "lbctl/base/result.hpp"
#include "lbctl/kernel/backend.hpp"

namespace lbctl::kernel {

/// Opens its socket at the first observe or execute, in the network namespace of that moment.
/// Adding with `announce` sends gratuitous ARP or unsolicited NA; that it could not be sent is a
/// note. Errors: not_found (the device, the address to remove), conflict (the address stands
/// already, or is not lbctl's), permission (CAP_NET_ADMIN), system.
Result<std::unique_ptr<Backend>> open_rtnl();

}  // namespace lbctl::kernel
