// XDP links (BPF_LINK_CREATE) pinned one per device: "link-" and the interface index, since device
// names may hold dots, which the BPF file system refuses, and may change.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"
#include "lbctl/model/xdp.hpp"
#include "links.hpp"

namespace lbctl::kernel::xdp {

struct Attachment {
  std::string pin;            ///< path
  Fd fd;                      ///< of the BPF link
  std::uint32_t device = 0;   ///< interface index; 0: dead (device gone, or detached by hand)
  std::uint32_t program = 0;  ///< id
};

/// The pinned links of a folder; none if it is not there.
Result<std::vector<Attachment>> read_attachments(const std::string& pin_dir);

/// Is it alive, and its program the one that the device runs? (A device can move to another network
/// namespace with its link; its index then means another device here.)
bool is_in_force(const Attachment& attachment, const Link& link);
/// The one in force on `link`; null if there is none.
const Attachment* in_force(const std::vector<Attachment>& attachments, const Link& link);

/// Attaches and pins. `mode` native or generic.
Result<> attach(const Fd& program, const Link& link, model::XdpMode mode,
                const std::string& pin_dir);
/// Replaces the program in place: every packet meets the old one or the new one.
Result<> replace(const Attachment& attachment, const Fd& program);
/// Detaches, unless it is dead, and unpins.
Result<> detach(const Attachment& attachment);

}  // namespace lbctl::kernel::xdp
