#include "lbctl/engine/drain_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "lbctl/engine/state_dir.hpp"

namespace lbctl::engine {

using namespace model;
using nlohmann::ordered_json;

namespace {

constexpr int schema_version = 1;
constexpr const char* runtime_name = "drains.json";

std::string persistent_name(const std::string& node) {
  return node + ".drains.json";
}

DrainIntent intent_in(const ordered_json& json) {
  DrainIntent out;
  out.server = json.at("server").get<std::string>();
  if (json.contains("service")) out.service = json.at("service").get<std::string>();
  out.since = UnixTime{json.at("since").get<std::int64_t>()};
  if (json.contains("seconds")) out.seconds = json.at("seconds").get<std::uint32_t>();
  out.until = json.at("until").get<std::uint32_t>();
  return out;
}

Result<> read_into(DrainList& out, const Store& store, const std::string& name, bool persistent) {
  const auto text = store.read(name);
  if (!text) return fail(text.error());
  if (!*text) return {};
  auto read = parse_drains(**text);
  if (!read)
    return fail(std::move(read.error())
                    .during(store.path() + "/" + name)
                    .with_hint("remove it to take every drain back, then drain again"));
  for (DrainIntent& intent : *read) {
    intent.persistent = persistent;
    out.push_back(std::move(intent));
  }
  return {};
}

Result<> replace(Store& store, const std::string& name, const DrainList& drains) {
  return drains.empty() ? store.remove(name) : store.write(name, to_text(drains));
}

}  // namespace

std::string to_text(const DrainList& drains) {
  ordered_json json;
  json["schema_version"] = schema_version;
  json["drains"] = ordered_json::array();
  for (const DrainIntent& intent : drains) {
    ordered_json entry{{"server", intent.server}};
    if (intent.service) entry["service"] = *intent.service;
    entry["since"] = number(intent.since);
    if (intent.seconds) entry["seconds"] = *intent.seconds;
    entry["until"] = intent.until;
    json["drains"].push_back(std::move(entry));
  }
  return json.dump(1) + "\n";
}

Result<DrainList> parse_drains(std::string_view text) {
  try {
    const auto json = ordered_json::parse(text);
    if (const int version = json.at("schema_version").get<int>(); version != schema_version)
      return fail(Errc::invalid, fmt::format("the drains have schema_version {}, known is {}",
                                             version, schema_version));
    DrainList out;
    for (const auto& entry : json.at("drains"))
      out.push_back(intent_in(entry));
    return out;
  } catch (const std::exception& e) {
    return fail(Errc::invalid, fmt::format("the drains cannot be read: {}", e.what()));
  }
}

Result<DrainList> read_drains(const DrainPlaces& places) {
  DrainList out;
  const auto persistent = Store::open_existing(places.persist_dir);
  if (!persistent) return fail(persistent.error());
  if (*persistent)
    if (auto read = read_into(out, **persistent, persistent_name(places.node), true); !read)
      return fail(std::move(read.error()));
  const auto runtime = peek_state(places.state_root);
  if (!runtime) return fail(runtime.error());
  if (*runtime)
    if (auto read = read_into(out, **runtime, runtime_name, false); !read)
      return fail(std::move(read.error()));
  return out;
}

Result<> write_drains(const DrainPlaces& places, const DrainList& drains) {
  DrainList lasting, passing;
  for (const DrainIntent& intent : drains)
    (intent.persistent ? lasting : passing).push_back(intent);
  auto persistent = Store::open_existing(places.persist_dir);
  if (persistent && !*persistent && !lasting.empty()) {
    auto made = Store::open(places.persist_dir, 0700);
    if (!made) return fail(std::move(made.error()));
    persistent = std::optional(std::move(*made));
  }
  if (!persistent) return fail(std::move(persistent.error()));
  if (*persistent)
    if (auto done = replace(**persistent, persistent_name(places.node), lasting); !done)
      return done;
  auto runtime = StateDir::open(places.state_root);
  if (!runtime) return fail(std::move(runtime.error()));
  return replace(runtime->store(), runtime_name, passing);
}

void add_drain(DrainList& drains, const DrainIntent& intent) {
  std::erase_if(drains, [&](const DrainIntent& other) { return other.same_target(intent); });
  drains.push_back(intent);
}

bool remove_drain(DrainList& drains, const std::string& server,
                  const std::optional<std::string>& service) {
  return std::erase_if(drains, [&](const DrainIntent& intent) {
           return intent.server == server && (!service || intent.service == service);
         }) != 0;
}

}  // namespace lbctl::engine
