#include "observe.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "attachments.hpp"
#include "links.hpp"
#include "program.hpp"

namespace lbctl::kernel::xdp {

namespace {

/// Does the program use each of the pinned maps? Not if one was unpinned and made anew.
Result<bool> uses(const PinnedProgram& program, const MapFds& maps) {
  for (const Fd& map : maps.fds) {
    auto id = map_id(map);
    if (!id) return fail(std::move(id.error()));
    if (std::ranges::find(program.maps, *id) == program.maps.end()) return false;
  }
  return true;
}

/// `tables`: the pinned ones, null if there are none.
Result<model::XdpAttachment> describe(const Link& link, const Tables* tables,
                                      const std::string& pin_dir) {
  auto found = find_program(link.program, pin_dir);
  if (!found) return fail(std::move(found.error()));
  model::XdpAttachment out{.mode = link.mode, .program = "(not pinned)"};
  if (!*found) return out;
  PinnedProgram& program = **found;
  auto same_tables = tables != nullptr ? uses(program, tables->maps()) : Result<bool>(false);
  if (!same_tables) return fail(std::move(same_tables.error()));
  out.program = std::move(program.digest);
  if (!*same_tables)
    out.program += " (with other tables)";
  else if (!link.mac || !tables->has_self(*link.mac))
    out.program += " (the device's MAC address has changed)";
  return out;
}

}  // namespace

Result<std::optional<Tables>> open_pinned_tables(const std::string& pin_dir) {
  auto maps = open_pinned_maps(pin_dir);
  if (!maps) return fail(std::move(maps.error()));
  if (!std::ranges::all_of(maps->fds, [](const Fd& fd) { return static_cast<bool>(fd); }))
    return std::optional<Tables>{};
  auto tables = Tables::open(std::move(*maps));
  if (!tables) return fail(std::move(tables.error()));
  return std::optional<Tables>(std::move(*tables));
}

Result<model::XdpState> observe_xdp(const std::string& pin_dir) {
  model::XdpState out;
  auto found = open_pinned_tables(pin_dir);
  if (!found) return fail(std::move(found.error()));
  const std::optional<Tables>& tables = *found;
  if (tables)
    if (auto ok = tables->read(out); !ok) return fail(std::move(ok.error()));
  auto attachments = read_attachments(pin_dir);
  if (!attachments) return fail(std::move(attachments.error()));
  auto links = read_links();
  if (!links) return fail(std::move(links.error()));
  for (const auto& link : *links) {
    if (link.program == 0) continue;
    if (in_force(*attachments, link) != nullptr) {
      auto attachment = describe(link, tables ? &*tables : nullptr, pin_dir);
      if (!attachment) return fail(std::move(attachment.error()).during(link.name));
      out.attachments.insert_or_assign(link.name, std::move(*attachment));
    } else {
      out.foreign.insert_or_assign(
          link.name, program_name(link.program).value_or(fmt::format("program {}", link.program)));
    }
  }
  return out;
}

}  // namespace lbctl::kernel::xdp
