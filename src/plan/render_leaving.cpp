#include <fmt/format.h>

#include <algorithm>

#include "lbctl/plan/plan.hpp"
#include "lbctl/plan/render.hpp"
#include "leaving.hpp"

namespace lbctl::plan {

using namespace model;

namespace {

struct Entry {
  Subsystem subsystem;
  std::string object;
  UnixTime deadline;
  std::optional<std::uint64_t> connections;
  Reason why = Reason::not_in_file;
};

std::vector<Entry> entries(const Leaving& leaving, const Observed& observed) {
  std::vector<Entry> out;
  for (const auto& [id, drain] : leaving.destinations)
    out.push_back({Subsystem::ipvs, id.text(), drain.deadline,
                   connections(observed.ipvs_counters, id), reason_of(drain, Reason::not_in_file)});
  for (const auto& [address, deadline] : leaving.addresses) {
    const auto used = observed.sockets.find(address);
    out.push_back({Subsystem::rtnl, address.text(), deadline,
                   used == observed.sockets.end() ? 0 : std::uint64_t{used->second}});
  }
  for (const auto& [address, deadline] : leaving.marked_vips)
    out.push_back({Subsystem::rtnl, address.text(), deadline, {}});
  for (const auto& [key, deadline] : leaving.steered)
    out.push_back({Subsystem::xdp, "steer " + key.text(), deadline, {}});
  for (const auto& [id, deadline] : leaving.server_ids)
    out.push_back({Subsystem::xdp, "server id " + id.text(), deadline, {}});
  return out;
}

std::int64_t seconds_left(const Entry& entry, UnixTime now) {
  return std::max<std::int64_t>(number(entry.deadline) - number(now), 0);
}

}  // namespace

std::string duration(std::int64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600)
    return seconds % 60 == 0 ? fmt::format("{}m", seconds / 60)
                             : fmt::format("{}m{}s", seconds / 60, seconds % 60);
  const std::int64_t minutes = seconds / 60 % 60;
  return minutes == 0 ? fmt::format("{}h", seconds / 3600)
                      : fmt::format("{}h{}m", seconds / 3600, minutes);
}

std::vector<std::string> render(const Leaving& leaving, const Observed& observed, UnixTime now) {
  std::vector<std::string> out;
  for (const Entry& entry : entries(leaving, observed)) {
    std::string text = fmt::format("{} {}  ", name(entry.subsystem), entry.object);
    if (entry.connections)
      text +=
          fmt::format("{} connection{}, ", *entry.connections, *entry.connections == 1 ? "" : "s");
    if (number(entry.deadline) != INT64_MAX)
      text += fmt::format("at most {} more  ", duration(seconds_left(entry, now)));
    text += fmt::format("({})", entry.why == Reason::drain_asked ? "drain asked for"
                                : entry.why == Reason::unhealthy ? "its health checks fail"
                                                                 : "not in the file");
    out.push_back(std::move(text));
  }
  return out;
}

nlohmann::ordered_json to_json(const Leaving& leaving, const Observed& observed, UnixTime now) {
  auto out = nlohmann::ordered_json::array();
  for (const Entry& entry : entries(leaving, observed)) {
    nlohmann::ordered_json json;
    json["subsystem"] = name(entry.subsystem);
    json["object"] = entry.object;
    if (entry.connections) json["connections"] = *entry.connections;
    if (number(entry.deadline) != INT64_MAX) {
      json["deadline"] = number(entry.deadline);
      json["seconds_left"] = seconds_left(entry, now);
    }
    json["reason"] = name(entry.why);
    out.push_back(std::move(json));
  }
  return out;
}

std::vector<std::string> irrevocable(std::span<const Operation> operations) {
  std::vector<std::string> out;
  for (const Operation& operation : operations) {
    const auto* attach = std::get_if<AttachXdp>(&operation.action);
    const auto* sysctl = std::get_if<SetSysctl>(&operation.action);
    std::string loses;
    if (sysctl && sysctl->path == "net/ipv6/conf/all/forwarding" && sysctl->to != "0") {
      // addrconf_fixup_forwarding()
      loses = "routes from router advertisements go, but for devices with accept_ra=2";
    } else if (std::holds_alternative<RemoveEndpoint>(operation.action)) {
      loses = "subflows that use it are closed";
    } else if (operation.connections != 0 && operation.phase > Phase::drain_ipvs) {
      loses = "its connections are cut off";
    } else if (attach && attach->from && attach->from->program != attach->to.program) {
      loses = "the program that runs now is not kept";
    }
    if (!loses.empty()) out.push_back(fmt::format("{}: {}", render_line(operation), loses));
  }
  return out;
}

}  // namespace lbctl::plan
