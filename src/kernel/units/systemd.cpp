#include "lbctl/kernel/systemd.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <thread>

#include "lbctl/base/handle.hpp"

namespace lbctl::kernel {

namespace {

using Bus = CHandle<sd_bus, &sd_bus_flush_close_unref>;
using Message = CHandle<sd_bus_message, &sd_bus_message_unref>;

constexpr const char* service = "org.freedesktop.systemd1";
constexpr const char* manager_path = "/org/freedesktop/systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";

/// The system bus, or systemd's own socket where no bus runs (as systemctl(1) does for root).
Result<Bus> connect() {
  sd_bus* raw = nullptr;
  if (sd_bus_open_system(&raw) >= 0) return Bus(raw);
  if (const int r = sd_bus_new(&raw); r < 0) return fail_errno("make a bus connection", -r);
  Bus bus(raw);
  int r = sd_bus_set_address(bus.get(), "unix:path=/run/systemd/private");
  if (r >= 0) r = sd_bus_start(bus.get());
  if (r < 0) return fail_errno("connect to systemd", -r);
  return bus;
}

/// A method of the manager; its answer.
template <class... Arguments>
Result<Message> call(sd_bus& bus, const std::string& what, const char* method, const char* types,
                     Arguments... arguments) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* answer = nullptr;
  const int r = sd_bus_call_method(&bus, service, manager_path, manager, method, &error, &answer,
                                   types, arguments...);
  Message owned(answer);
  const std::string words = error.message != nullptr ? error.message : "";
  sd_bus_error_free(&error);
  if (r < 0) return fail(Error::from_errno(-r, what).kernel_said(words));
  return owned;
}

/// A text property of a unit.
Result<std::string> property(sd_bus& bus, const std::string& unit, const char* name) {
  auto loaded = call(bus, "ask systemd for " + unit, "LoadUnit", "s", unit.c_str());
  if (!loaded) return fail(std::move(loaded.error()));
  const char* path = nullptr;
  if (const int r = sd_bus_message_read(loaded->get(), "o", &path); r < 0)
    return fail_errno("read systemd's answer", -r);
  sd_bus_error error = SD_BUS_ERROR_NULL;
  char* value = nullptr;
  const int r = sd_bus_get_property_string(&bus, service, path, "org.freedesktop.systemd1.Unit",
                                           name, &error, &value);
  const CHandle<char, &free> owned(value);
  sd_bus_error_free(&error);
  if (r < 0) return fail_errno(fmt::format("read {} of {}", name, unit), -r);
  return std::string(value);
}

bool is_running(const std::string& state) {
  return state == "active" || state == "activating" || state == "reloading";
}

}  // namespace

bool systemd_runs() {
  return sd_booted() > 0;
}

Result<> move_to_scope(pid_t process, const std::string& name, const std::string& description) {
  if (!systemd_runs()) return {};
  const auto bus = connect();
  if (!bus) return fail(bus.error());
  auto started = call(**bus, fmt::format("start the transient unit {}", name), "StartTransientUnit",
                      "ssa(sv)a(sa(sv))", name.c_str(), "fail", 2, "Description", "s",
                      description.c_str(), "PIDs", "au", 1, static_cast<std::uint32_t>(process), 0);
  if (!started) return fail(std::move(started.error()));
  return {};
}

Result<> reload_units() {
  const auto bus = connect();
  if (!bus) return fail(bus.error());
  auto done = call(**bus, "let systemd read its units again", "Reload", "");
  if (!done) return fail(std::move(done.error()).with_hint("systemctl daemon-reload"));
  return {};
}

Result<bool> unit_runs(const std::string& unit) {
  const auto bus = connect();
  if (!bus) return fail(bus.error());
  const auto state = property(**bus, unit, "ActiveState");
  if (!state) return fail(state.error());
  return is_running(*state);
}

Result<> restart_unit(const std::string& unit) {
  constexpr auto longest = std::chrono::seconds(90);  // DefaultTimeoutStartSec=
  constexpr auto tick = std::chrono::milliseconds(50);
  const auto bus = connect();
  if (!bus) return fail(bus.error());
  auto queued = call(**bus, "restart " + unit, "RestartUnit", "ss", unit.c_str(), "replace");
  if (!queued) return fail(std::move(queued.error()));
  const char* job = nullptr;
  if (const int r = sd_bus_message_read(queued->get(), "o", &job); r < 0)
    return fail_errno("read systemd's answer", -r);
  // A job's object is there as long as the job is.
  const auto end = std::chrono::steady_clock::now() + longest;
  for (char* kind = nullptr;
       std::chrono::steady_clock::now() < end &&
       sd_bus_get_property_string(bus->get(), service, job, "org.freedesktop.systemd1.Job",
                                  "JobType", nullptr, &kind) >= 0;) {
    free(kind);
    std::this_thread::sleep_for(tick);
  }
  const auto state = property(**bus, unit, "ActiveState");
  if (!state) return fail(state.error());
  if (*state == "active") return {};
  return fail(Error(Errc::system, fmt::format("{} was restarted and is {}", unit, *state))
                  .with_hint("journalctl -u " + unit));
}

}  // namespace lbctl::kernel
