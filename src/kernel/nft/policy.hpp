// Which messages libnftnl may be given. It ends the whole process on an attribute whose length it
// does not expect ("nf_tables kernel ABI is broken"), and a monitor of kernels must not die of one.
#pragma once

#include <linux/netlink.h>

namespace lbctl::kernel::nft {

/// True for an answer of nf_tables that consists of what lbctl's own table consists of, each
/// attribute with its right length. False also for sound messages with anything else in them, such
/// as another kind of expression: then it is not a part of lbctl's table as lbctl made it.
bool well_formed(const nlmsghdr& message);

}  // namespace lbctl::kernel::nft
