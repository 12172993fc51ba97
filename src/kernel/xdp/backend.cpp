#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <variant>

#include "attachments.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "links.hpp"
#include "maps.hpp"
#include "observe.hpp"
#include "program.hpp"
#include "tables.hpp"

namespace lbctl::kernel {

namespace xdp {
namespace {

constexpr const char* veth_note =
    "generic mode: what a native XDP_TX sends over veth is lost where the peer runs no XDP program";

std::string foreign_text(const Link& link) {
  const auto name = program_name(link.program);
  return name ? fmt::format("\"{}\" (id {})", *name, link.program)
              : fmt::format("with id {}", link.program);
}

/// What one run of operations has open.
class Run {
 public:
  Run(const std::string& pin_dir, std::vector<std::string>& notes)
      : pin_dir_(pin_dir), notes_(notes) {}

  Result<> operator()(const model::SetSteeredService& op) {
    auto tables = make_tables();
    if (!tables) return fail(std::move(tables.error()));
    return (*tables)->set_service(op.key, op.to);
  }

  Result<> operator()(const model::RemoveSteeredService& op) {
    auto tables = find_tables();
    if (!tables) return fail(std::move(tables.error()));
    if (*tables == nullptr || !(*tables)->remove_service(op.key))
      notes_.push_back(fmt::format("{} was not steered any more", op.key.text()));
    return {};
  }

  Result<> operator()(const model::SetSteerTarget& op) {
    auto tables = make_tables();
    if (!tables) return fail(std::move(tables.error()));
    return (*tables)->set_server(op.id, op.to);
  }

  Result<> operator()(const model::RemoveSteerTarget& op) {
    auto tables = find_tables();
    if (!tables) return fail(std::move(tables.error()));
    if (*tables == nullptr || !(*tables)->remove_server(op.id))
      notes_.push_back(fmt::format("server id {} was not in the table any more", op.id.text()));
    return {};
  }

  Result<> operator()(const model::AttachXdp& op) {
    // Before anything is loaded: a device that is taken leaves the kernel as it was.
    auto attachments = drop_dead();
    if (!attachments) return fail(std::move(attachments.error()));
    auto link = find_link(op.device);
    if (!link) return fail(std::move(link.error()));
    const Attachment* old = in_force(*attachments, *link);
    if (link->program != 0 && old == nullptr)
      return fail(Error(Errc::conflict, fmt::format("an XDP program that is not lbctl's is "
                                                    "attached: {}",
                                                    foreign_text(*link)))
                      .with_hint("take it off the device, or steer on another device"));
    if (!link->mac)
      return fail(Errc::unsupported, "it has no Ethernet address, so frames cannot be steered");
    auto program = load();
    if (!program) return fail(std::move(program.error()));
    if (auto ok = serve(*attachments, link->index); !ok) return ok;
    if (old != nullptr && (op.to.mode == model::XdpMode::automatic || op.to.mode == link->mode)) {
      if (auto ok = replace(*old, **program); !ok) return ok;
      return unpin_strange(program_digest(), pin_dir_);
    }
    if (old != nullptr) {
      notes_.push_back(
          fmt::format("{}: unsteered for a moment: XDP cannot go from {} to {} mode in place",
                      op.device, model::name(link->mode), model::name(op.to.mode)));
      if (auto ok = detach(*old); !ok) return ok;
    }
    return attach_in_mode(**program, *link, op.to.mode);
  }

  Result<> operator()(const model::DetachXdp& op) {
    auto attachments = drop_dead();
    if (!attachments) return fail(std::move(attachments.error()));
    auto link = find_link(op.device);
    const Attachment* old = link ? in_force(*attachments, *link) : nullptr;
    if (old == nullptr) {
      notes_.push_back(fmt::format("{} had no XDP program of lbctl's any more", op.device));
      return {};
    }
    if (auto ok = detach(*old); !ok) return ok;
    return serve(*attachments, 0);
  }

  // Everything else is another subsystem's.
  template <class Other>
  Result<> operator()(const Other&) {
    return fail(Errc::invalid, "an operation for another subsystem came to the XDP backend");
  }

  /// Takes the pins away when nothing is steered and nothing attached.
  Result<> tidy() {
    auto tables = find_tables();
    if (!tables) return fail(std::move(tables.error()));
    if (*tables != nullptr && !(*tables)->empty()) return {};
    auto attachments = drop_dead();
    if (!attachments) return fail(std::move(attachments.error()));
    if (!attachments->empty()) return {};
    tables_.reset();
    program_.reset();
    if (auto ok = unpin_program(pin_dir_); !ok) return ok;
    // The folder that holds every namespace's pins goes with the last of them.
    const auto parent = std::filesystem::path(pin_dir_).parent_path();
    std::error_code ignored;
    if (parent.filename() == "lbctl") std::filesystem::remove(parent, ignored);
    return {};
  }

 private:
  /// The pinned tables; null if there are none.
  Result<Tables*> find_tables() {
    if (tables_) return tables_.get();
    auto found = open_pinned_tables(pin_dir_);
    if (!found) return fail(std::move(found.error()));
    if (std::optional<Tables>& tables = *found)
      tables_ = std::make_unique<Tables>(std::move(*tables));
    return tables_.get();
  }

  /// The tables, which are made if need be.
  Result<Tables*> make_tables() {
    const bool first = tables_ == nullptr;
    auto found = find_tables();
    if (first && found && *found != nullptr) (*found)->wipe_unused_rows();
    if (!found || *found != nullptr) return found;
    if (auto program = load(); !program) return fail(std::move(program.error()));
    return tables_.get();
  }

  /// This binary's program, loaded on top of the pinned maps.
  Result<const Fd*> load() {
    if (program_) return &program_;
    auto pinned = open_pinned_maps(pin_dir_);
    if (!pinned) return fail(std::move(pinned.error()));
    auto program = load_program(*pinned);
    if (!program) return fail(std::move(program.error()));
    if (auto ok = pin_program(*program, program_digest(), pin_dir_); !ok)
      return fail(std::move(ok.error()));
    auto tables = Tables::open(std::move(program->maps));
    if (!tables) return fail(std::move(tables.error()));
    tables_ = std::make_unique<Tables>(std::move(*tables));
    program_ = std::move(program->fd);
    return &program_;
  }

  static Result<Link> find_link(const std::string& device) {
    auto links = read_links();
    if (!links) return fail(std::move(links.error()));
    auto found = std::ranges::find(*links, device, &Link::name);
    if (found == links->end()) return fail(Errc::not_found, "there is no such device");
    return std::move(*found);
  }

  /// The attachments of this namespace, after those out of force have been taken away: their
  /// device is gone, was detached by hand, or has moved to another namespace with our program.
  Result<std::vector<Attachment>> drop_dead() {
    auto attachments = read_attachments(pin_dir_);
    if (!attachments || attachments->empty()) return attachments;
    auto links = read_links();
    if (!links) return fail(std::move(links.error()));
    std::vector<Attachment> alive;
    for (auto& attachment : *attachments) {
      if (std::ranges::any_of(*links, [&](const Link& l) { return is_in_force(attachment, l); }))
        alive.push_back(std::move(attachment));
      else if (auto ok = detach(attachment); !ok)
        return fail(std::move(ok.error()));
    }
    return alive;
  }

  /// Tells the program the addresses that its devices answer to: those attached, and `fresh`. A
  /// port of a bridge or bond answers to its master's address too.
  Result<> serve(const std::vector<Attachment>& attachments, std::uint32_t fresh) {
    auto tables = find_tables();
    if (!tables) return fail(std::move(tables.error()));
    if (*tables == nullptr) return {};
    auto links = read_links();
    if (!links) return fail(std::move(links.error()));
    std::vector<model::MacAddress> self;
    for (const auto& link : *links) {
      if (link.index != fresh && in_force(attachments, link) == nullptr) continue;
      for (const auto& station : *links)
        if (station.mac && (station.index == link.index || station.index == link.master))
          self.push_back(*station.mac);
    }
    return (*tables)->set_self(self);
  }

  Result<> attach_in_mode(const Fd& program, const Link& link, model::XdpMode mode) {
    if (mode != model::XdpMode::automatic) return attach(program, link, mode, pin_dir_);
    if (link.kind != "veth") {
      auto native = attach(program, link, model::XdpMode::native, pin_dir_);
      if (native) return {};
      if (native.error().code() == Errc::permission) return native;
      notes_.push_back(
          fmt::format("{}: generic mode, which is slower: {}", link.name, native.error().text()));
    } else {
      notes_.push_back(fmt::format("{}: {}", link.name, veth_note));
    }
    return attach(program, link, model::XdpMode::generic, pin_dir_);
  }

  const std::string& pin_dir_;
  std::vector<std::string>& notes_;
  std::unique_ptr<Tables> tables_;
  Fd program_;
};

/// The object of an operation, for errors.
std::string subject(const model::Action& action) {
  if (const auto* op = std::get_if<model::SetSteeredService>(&action)) return op->key.text();
  if (const auto* op = std::get_if<model::RemoveSteeredService>(&action)) return op->key.text();
  if (const auto* op = std::get_if<model::SetSteerTarget>(&action))
    return "server id " + op->id.text();
  if (const auto* op = std::get_if<model::RemoveSteerTarget>(&action))
    return "server id " + op->id.text();
  if (const auto* op = std::get_if<model::AttachXdp>(&action)) return op->device;
  if (const auto* op = std::get_if<model::DetachXdp>(&action)) return op->device;
  return "an operation";
}

class Xdp final : public Backend {
 public:
  explicit Xdp(XdpPlace place) : place_(std::move(place)) {}

  model::Subsystem subsystem() const override { return model::Subsystem::xdp; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    if (!scope.xdp) return {};
    auto state = observe_xdp(place_.pin_dir);
    if (!state) return fail(std::move(state.error()).during("read XDP"));
    out.state.xdp = std::move(*state);
    return {};
  }

  Outcome execute(std::span<const model::Operation> operations) override {
    Outcome out;
    if (operations.empty()) return out;
    Run run(place_.pin_dir, out.notes);
    for (const auto& operation : operations) {
      if (auto ok = std::visit(run, operation.action); !ok) {
        out.error = std::move(ok.error()).during("XDP: " + subject(operation.action));
        break;
      }
      ++out.done;
    }
    if (auto ok = run.tidy(); !ok && !out.error)
      out.error = std::move(ok.error()).during("XDP: remove the pins");
    return out;
  }

 private:
  XdpPlace place_;
};

}  // namespace
}  // namespace xdp

std::unique_ptr<Backend> open_xdp(XdpPlace place) {
  return std::make_unique<xdp::Xdp>(std::move(place));
}

Result<std::optional<XdpFigures>> read_xdp_figures(const XdpPlace& place) {
  auto tables = xdp::open_pinned_tables(place.pin_dir);
  if (!tables) return fail(std::move(tables.error()).during("read the XDP counters"));
  const std::optional<xdp::Tables>& found = *tables;
  if (!found) return std::optional<XdpFigures>{};
  return std::optional(found->figures());
}

}  // namespace lbctl::kernel
