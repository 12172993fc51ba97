#include "transient_scope.hpp"

#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "lbctl/base/handle.hpp"

namespace lbctl::cli {

namespace {

using Bus = CHandle<sd_bus, &sd_bus_flush_close_unref>;
using Message = CHandle<sd_bus_message, &sd_bus_message_unref>;

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

}  // namespace

Result<> move_to_scope(pid_t process, const std::string& name, const std::string& description) {
  if (sd_booted() <= 0) return {};
  const auto bus = connect();
  if (!bus) return fail(bus.error());
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* answer = nullptr;
  const int r = sd_bus_call_method(bus->get(), "org.freedesktop.systemd1",
                                   "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                   "StartTransientUnit", &error, &answer, "ssa(sv)a(sa(sv))",
                                   name.c_str(), "fail", 2, "Description", "s", description.c_str(),
                                   "PIDs", "au", 1, static_cast<std::uint32_t>(process), 0);
  const Message owned(answer);
  std::string words = error.message != nullptr ? error.message : "";
  sd_bus_error_free(&error);
  if (r < 0)
    return fail(
        Error::from_errno(-r, fmt::format("start the transient unit {}", name)).kernel_said(words));
  return {};
}

}  // namespace lbctl::cli
