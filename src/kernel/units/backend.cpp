#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>

#include "drop_in.hpp"
#include "folder.hpp"
#include "lbctl/kernel/systemd.hpp"
#include "lbctl/kernel/units.hpp"
#include "socket_hook.hpp"
#include "unit_files.hpp"

namespace lbctl::kernel {

using namespace model;

namespace {

/// Debian's package has the library in a folder of each architecture's libraries.
std::optional<std::string> find_library(const std::string& root) {
  std::optional<std::string> out;
  for (const char* pattern :
       {"/usr/lib/*/mptcpize/libmptcpwrap.so.0.*", "/usr/lib*/mptcpize/libmptcpwrap.so.0.*"}) {
    glob_t found{};
    if (!out && ::glob((root + pattern).c_str(), 0, nullptr, &found) == 0 && found.gl_pathc != 0)
      out = std::string(found.gl_pathv[0]).substr(root.size());
    ::globfree(&found);
  }
  return out;
}

Result<std::string> preload_drop_in(const UnitPlace& place, const std::string& unit,
                                    AskedBy asked_by) {
  const auto library = find_library(place.root);
  if (!library)
    return fail(Error(Errc::not_found, "libmptcpwrap is not installed")
                    .during("mptcpize " + unit)
                    .with_hint("apt install mptcpize"));
  const auto environment = units::environment_of(place.root, unit, units::drop_in_name);
  if (const auto file = units::file_with_preload(place.root, environment))
    return fail(Error(Errc::conflict,
                      fmt::format("{}, an EnvironmentFile= of {}, sets LD_PRELOAD, which counts "
                                  "for more than any drop-in",
                                  *file, unit))
                    .with_hint(fmt::format("move it to Environment= in the unit; or: lbctl "
                                           "mptcpize --way bpf {}",
                                           unit)));
  return units::preload_text(unit, asked_by, environment.preload.value_or(""), *library);
}

/// What the unit's drop-in has to be.
Result<std::string> drop_in(const UnitPlace& place, const std::string& unit,
                            const MptcpizedUnit& how) {
  if (how.way == MptcpWay::preload) return preload_drop_in(place, unit, how.asked_by);
  return units::bpf_text(unit, how.asked_by, place.program);
}

Result<UnitState> read_state(const UnitPlace& place) {
  const auto all = units::Folder(place.root).list();
  if (!all) return fail(all.error());
  UnitState out;
  for (const units::Found& found : *all) {
    auto how = found.text ? units::parse_mark(*found.text) : std::nullopt;
    if (!how) {
      out.foreign.insert(found.unit);
      continue;
    }
    const auto text = drop_in(place, found.unit, *how);
    how->intact = text && *text == *found.text;
    out.mptcpized.emplace(found.unit, *how);
  }
  return out;
}

class UnitBackend final : public Backend {
 public:
  explicit UnitBackend(UnitPlace place) : place_(std::move(place)), folder_(place_.root) {}

  Subsystem subsystem() const override { return Subsystem::unit; }

  Result<> observe(const Scope& scope, Observed& out) override {
    if (!scope.units) return {};
    auto state = read_state(place_);
    if (!state) return fail(std::move(state.error()));
    out.state.units = std::move(*state);
    return {};
  }

  Outcome execute(std::span<const Operation> run) override {
    Outcome out;
    std::vector<std::string> units;
    for (const Operation& operation : run) {
      const auto* mptcpize = std::get_if<MptcpizeUnit>(&operation.action);
      const auto* restore = std::get_if<RestoreUnit>(&operation.action);
      auto done = mptcpize ? write(*mptcpize, out.notes) : this->restore(*restore);
      if (!done) {
        out.error = std::move(done.error());
        break;
      }
      units.push_back(mptcpize ? mptcpize->unit : restore->unit);
      ++out.done;
    }
    if (auto done = tell_systemd(units, out.notes); !done && !out.error)
      out.error = std::move(done.error());
    return out;
  }

 private:
  /// A file that has come since it was looked for is not overwritten.
  Result<> check_mark(const std::string& unit) const {
    const auto found = folder_.find(unit);
    if (!found) return fail(found.error());
    if (!*found || ((*found)->text && units::parse_mark(*(*found)->text))) return {};
    return fail(Errc::conflict,
                fmt::format("the drop-in {} of {} is not lbctl's", units::drop_in_name, unit));
  }

  Result<> write(const MptcpizeUnit& action, std::vector<std::string>& notes) {
    const auto text = drop_in(place_, action.unit, action.to);
    if (!text) return fail(text.error());
    if (auto ours = check_mark(action.unit); !ours) return ours;
    const bool bpf = action.to.way == MptcpWay::bpf;
    if (bpf)
      if (auto loads = units::try_program(); !loads) return loads;
    if (!unit_exists(place_, action.unit))
      notes.push_back(fmt::format("no unit {} is installed here yet", action.unit));
    if (auto written = folder_.write(action.unit, *text); !written) return written;
    return bpf ? Result<>() : leave(action.unit);
  }

  Result<> restore(const RestoreUnit& action) {
    if (auto ours = check_mark(action.unit); !ours) return ours;
    if (auto removed = folder_.remove(action.unit); !removed) return removed;
    return leave(action.unit);
  }

  /// The program takes no notice of the unit any more, and goes when no unit needs it.
  Result<> leave(const std::string& unit) {
    if (place_.pin_dir.empty()) return {};
    if (auto done = units::leave(place_.pin_dir, unit); !done) return done;
    const auto state = read_state(place_);
    if (!state) return fail(state.error());
    const auto needs = [](const auto& entry) { return entry.second.way == MptcpWay::bpf; };
    if (std::ranges::any_of(state->mptcpized, needs)) return {};
    return units::unload(place_.pin_dir);
  }

  Result<> tell_systemd(const std::vector<std::string>& units, std::vector<std::string>& notes) {
    if (units.empty()) return {};
    if (!place_.root.empty() || !systemd_runs()) {
      notes.emplace_back("systemd does not run here: it reads the drop-ins when it starts");
      return {};
    }
    if (auto done = reload_units(); !done) {
      // Where the sandbox of a service leaves out CAP_SYS_ADMIN. What was written is right.
      if (done.error().code() != Errc::permission) return done;
      notes.emplace_back(
          "this lbctl may not tell systemd: what is left is systemctl daemon-reload");
    }
    if (place_.restarts) return {};
    for (const std::string& unit : units) {
      const auto runs = unit_runs(unit);
      if (!runs || *runs)
        notes.push_back(fmt::format("{} keeps the sockets that it has until: systemctl restart {}",
                                    unit, unit));
    }
    return {};
  }

  UnitPlace place_;
  units::Folder folder_;
};

}  // namespace

Result<UnitPlace> unit_place(const std::string& bpffs) {
  std::error_code error;
  std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return fail_errno("read /proc/self/exe", error.value());
  // A package that was upgraded under a daemon that runs.
  constexpr std::string_view deleted = " (deleted)";
  if (program.ends_with(deleted)) program.resize(program.size() - deleted.size());
  return UnitPlace{"", bpffs.empty() ? "" : bpffs + "/lbctl/mptcpize", std::move(program), false};
}

std::unique_ptr<Backend> open_units(UnitPlace place) {
  return std::make_unique<UnitBackend>(std::move(place));
}

Result<UnitFacts> read_unit_facts(const UnitPlace& place) {
  auto state = read_state(place);
  if (!state) return fail(std::move(state.error()));
  UnitFacts out;
  out.library = find_library(place.root).has_value();
  for (auto [unit, how] : state->mptcpized) {
    how.intact = true;
    if (how.asked_by == AskedBy::hand) out.by_hand.emplace(unit, how);
  }
  return out;
}

bool unit_exists(const UnitPlace& place, const std::string& unit) {
  return !units::unit_files(place.root, unit, units::drop_in_name).empty();
}

Result<> enter_unit(const UnitPlace& place, const std::string& unit) {
  if (place.pin_dir.empty())
    return fail(Error(Errc::unsupported, "no BPF file system is mounted")
                    .with_hint("mount -t bpf bpf /sys/fs/bpf"));
  const auto cgroup = units::own_unit_cgroup();
  if (!cgroup) return fail(cgroup.error());
  return units::enter(place.pin_dir, unit, *cgroup);
}

}  // namespace lbctl::kernel
