#include "lbctl/engine/health_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lbctl::engine {

using nlohmann::ordered_json;

namespace {

constexpr int schema_version = 1;
constexpr const char* file_name = "health.json";
constexpr const char* lock_name = "daemon";

/// The whole file, for the open file description: fcntl(2), F_OFD_SETLK.
struct flock whole_file() {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

Result<model::Health> read_in(const Store& store) {
  const auto text = store.read(file_name);
  if (!text) return fail(text.error());
  return *text ? parse_health(**text) : Result<model::Health>(model::Health{});
}

/// Only asked: one that looks must not be in the way of a daemon that begins.
Result<bool> daemon_lives(const Store& store) {
  const Fd fd(::openat(store.fd(), lock_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd)
    return errno == ENOENT ? Result<bool>(false)
                           : fail_errno("open " + store.path() + "/" + lock_name);
  struct flock lock = whole_file();
  if (::fcntl(fd.get(), F_OFD_GETLK, &lock) != 0)
    return fail_errno("look at the lock of " + store.path() + "/" + lock_name);
  return lock.l_type != F_UNLCK;
}

}  // namespace

std::string to_text(const model::Health& health) {
  ordered_json json{{"schema_version", schema_version}, {"services", ordered_json::object()}};
  for (const auto& [name, service] : health) {
    ordered_json& out = json["services"][name];
    out["sorry"] = service.sorry;
    out["servers"] = ordered_json::object();
    for (const auto& [server, one] : service.servers)
      out["servers"][server] = {
          {"up", one.up}, {"most", number(one.most)}, {"percent", one.percent}};
  }
  return json.dump(1) + "\n";
}

Result<model::Health> parse_health(std::string_view text) {
  try {
    const auto json = ordered_json::parse(text);
    if (const int version = json.at("schema_version").get<int>(); version != schema_version)
      return fail(Errc::invalid,
                  fmt::format("the servers' health has schema_version {}, known is {}", version,
                              schema_version));
    model::Health out;
    for (const auto& [name, service] : json.at("services").items()) {
      model::ServiceHealth& one = out[name];
      one.sorry = service.at("sorry").get<bool>();
      for (const auto& [server, health] : service.at("servers").items()) {
        const auto percent = health.value("percent", 100U);  // not said by earlier versions
        if (percent > 100)
          return fail(Errc::invalid, "the servers' health has more than 100 percent");
        one.servers[server] = {health.at("up").get<bool>(),
                               model::Weight{health.at("most").get<std::uint16_t>()},
                               static_cast<std::uint8_t>(percent)};
      }
    }
    return out;
  } catch (const std::exception& e) {
    return fail(Errc::invalid, fmt::format("the servers' health cannot be read: {}", e.what()));
  }
}

Result<HealthPost> HealthPost::open(StateDir& state) {
  Store& store = state.store();
  Fd fd(::openat(store.fd(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("open " + store.path() + "/" + lock_name);
  struct flock lock = whole_file();
  if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES)
      return fail_errno("lock " + store.path() + "/" + lock_name);
    return fail(Errc::busy, "another lbctl daemon runs in this network namespace");
  }
  auto left = read_in(store);
  if (!left) return fail(std::move(left.error()));
  return HealthPost(store, std::move(fd), std::move(*left));
}

Result<> HealthPost::write(const model::Health& health) {
  return store_->write(file_name, to_text(health));
}

Result<model::Health> read_health(const std::string& state_root) {
  const auto store = peek_state(state_root);
  if (!store) return fail(store.error());
  if (!*store) return model::Health{};
  const auto lives = daemon_lives(**store);
  if (!lives) return fail(lives.error());
  return *lives ? read_in(**store) : Result<model::Health>(model::Health{});
}

Result<> forget_health(StateDir& state) {
  const auto lives = daemon_lives(state.store());
  if (!lives) return fail(lives.error());
  return *lives ? Result<>() : state.store().remove(file_name);
}

}  // namespace lbctl::engine
