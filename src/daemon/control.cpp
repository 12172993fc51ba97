#include "control.hpp"

#include <fmt/format.h>

namespace lbctl::daemon {
namespace {

constexpr int schema_version = 1;

Json document(std::string_view command) {
  return {{"schema_version", schema_version}, {"command", command}};
}

Json failed(std::string_view command, const std::string& why) {
  Json out = document(command);
  out["result"] = "error";
  out["error"] = {{"message", why}};
  return out;
}

Json moment(const std::optional<std::int64_t>& time) {
  return time ? Json(*time) : Json(nullptr);
}

std::optional<std::string> text_in(const Json& request, const char* key) {
  const auto found = request.find(key);
  if (found == request.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

/// 0 to 2^32-1; nothing if it is left out or something else.
std::optional<std::uint32_t> number_in(const Json& request, const char* key) {
  const auto found = request.find(key);
  if (found == request.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto value = found->get<std::uint64_t>();
  return value <= UINT32_MAX ? std::optional(static_cast<std::uint32_t>(value)) : std::nullopt;
}

/// What is wrong with the target of a drain; empty: nothing.
std::string wrong_target(const config::Config& config, const std::string& server,
                         const std::optional<std::string>& service) {
  if (!config.servers.contains(server)) return fmt::format("the file has no server \"{}\"", server);
  if (!service) return "";
  const auto found = config.services.find(*service);
  if (found == config.services.end())
    return fmt::format("the file has no service \"{}\"", *service);
  if (!found->second.servers.contains(server))
    return fmt::format("service \"{}\" does not use server \"{}\"", *service, server);
  return "";
}

Reply drain(const Json& request, std::string_view command, Keeper& keeper) {
  const auto server = text_in(request, "server");
  const auto service = text_in(request, "service");
  if (!server) return {failed(command, "\"server\" is missing")};
  if (!keeper.config().directors.contains(keeper.node_name()))
    return {failed(command, "this is a real server: drains are a director's")};
  if (const auto wrong = wrong_target(keeper.config(), *server, service); !wrong.empty())
    return {failed(command, wrong)};
  if (command == "undrain") {
    const auto done = keeper.node().undrain(keeper.node_name(), *server, service);
    if (!done) return {failed(command, done.error().text())};
    if (!*done) return {failed(command, "no such drain is in force")};
  } else {
    const auto done =
        keeper.node().drain(keeper.node_name(), {.server = *server,
                                                 .service = service,
                                                 .since = engine::Engine::system_time(),
                                                 .seconds = number_in(request, "seconds"),
                                                 .until = number_in(request, "until").value_or(0)});
    if (!done) return {failed(command, done.error().text())};
  }
  Json answer = document(command);
  answer["result"] = "done";
  return {std::move(answer), false, true};
}

}  // namespace

Json status_of(const Keeper& keeper) {
  Json out = document("status");
  out["node"] = keeper.node_name();
  out["file"] = {{"good", keeper.file_is_good()},
                 {"loaded", keeper.loaded_at()},
                 {"hash", keeper.file_hash()}};
  const RoundRecord& rounds = keeper.rounds();
  out["rounds"] = {{"good", rounds.good},
                   {"failed", rounds.failed},
                   {"changes", rounds.changes},
                   {"last", moment(rounds.last)},
                   {"last_good", moment(rounds.last_good)},
                   {"trouble", rounds.trouble}};
  out["services"] = Json::object();
  for (const auto& [place, standing] : keeper.board().standings()) {
    Json& service = out["services"][place.first];
    service["quorum"] = keeper.board().has_quorum(place.first);
    service["servers"][place.second] = health::name(standing);
  }
  return out;
}

Json checks_of(const Keeper& keeper) {
  Json out = document("checks");
  out["checks"] = Json::array();
  for (const auto& [id, probe] : keeper.probes()) {
    const health::Judge* judge = keeper.board().judge(id);
    Json one{{"check", probe.title()}, {"up", judge && judge->up()}};
    if (const auto found = keeper.checks().find(id); found != keeper.checks().end()) {
      const CheckRecord& record = found->second;
      one["right"] = record.right;
      one["wrong"] = record.wrong;
      one["unknown"] = record.unknown;
      one["last"] = record.last;
      one["took_us"] = record.took.count();
    }
    out["checks"].push_back(std::move(one));
  }
  return out;
}

Reply reply_to(std::string_view line, Keeper& keeper) {
  const Json request = Json::parse(line, nullptr, false);
  if (!request.is_object()) return {failed("", "a request is a JSON object on one line")};
  const std::string command = text_in(request, "command").value_or("");
  if (command == "status") return {status_of(keeper)};
  if (command == "checks") return {checks_of(keeper)};
  if (command == "drain" || command == "undrain") return drain(request, command, keeper);
  if (command == "reload") return {document(command), true, true};
  if (command == "events") {
    Json answer = document(command);
    answer["result"] = "listening";
    return {std::move(answer), false, false, true};
  }
  return {failed(command, "known commands: status, checks, drain, undrain, reload, events")};
}

}  // namespace lbctl::daemon
