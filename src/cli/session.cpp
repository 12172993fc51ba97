#include "session.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>

#include "lbctl/engine/confirmation.hpp"
#include "lbctl/engine/health_file.hpp"
#include "lbctl/engine/key_file.hpp"
#include "lbctl/kernel/facts.hpp"
#include "lbctl/kernel/units.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"

namespace lbctl::cli {

namespace {

volatile sig_atomic_t stop_signal = 0;

constexpr auto lock_patience = std::chrono::seconds(10);

}  // namespace

config::Loaded read(const Options& options) {
  config::Loaded loaded = config::read_file(options.file);
  if (options.warnings_are_errors()) config::refuse_warnings(loaded);
  return loaded;
}

std::expected<config::Loaded, Exit> load_file(const Options& options, std::string_view command) {
  config::Loaded loaded = read(options);
  for (const auto& diagnostic : loaded.diagnostics)
    fmt::print(stderr, "{}", config::render(diagnostic));
  if (loaded.config) return loaded;
  if (options.json) {
    Json json = document(command);
    json["result"] = "bad_file";
    json["diagnostics"] = Json::array();
    for (const auto& diagnostic : loaded.diagnostics)
      json["diagnostics"].push_back(to_json(diagnostic));
    print(json);
  } else {
    fmt::print(stderr, "lbctl: the file is wrong; nothing was touched\n");
  }
  return std::unexpected(Exit::bad_file);
}

std::expected<config::Config, Exit> load(const Options& options, std::string_view command) {
  auto loaded = load_file(options, command);
  if (!loaded) return std::unexpected(loaded.error());
  return std::move(*loaded->config);
}

Result<Here> find_here(const config::Config& config, const Options& options) {
  auto facts = kernel::read_facts();
  if (!facts) return fail(std::move(facts.error()));
  facts->xdp_program = kernel::program_digest();
  const auto units = kernel::unit_place(kernel::find_bpffs(options.state_dir).value_or(""));
  if (!units) return fail(units.error());
  auto unit_facts = kernel::read_unit_facts(*units);
  if (!unit_facts) return fail(std::move(unit_facts.error()));
  facts->units = std::move(*unit_facts);
  auto node = config::recognise_node(config, options.node, *facts);
  if (!node) return fail(std::move(node.error()));
  return Here{std::move(*node), std::move(*facts)};
}

engine::DrainPlaces drain_places(const Options& options, const std::string& node) {
  return {options.state_dir, options.persist_dir, node};
}

Result<config::Desired> resolve_here(const config::Config& config, Here here,
                                     std::span<const model::DrainIntent> drains,
                                     const model::Health& health,
                                     std::chrono::milliseconds patience, Unasked unasked) {
  for (const std::string& path : config::key_files(config, here.node)) {
    auto key = engine::read_key_file(path);
    if (!key) return fail(std::move(key.error()));
    here.facts.cid_keys.emplace(path, *key);
  }
  here.facts.units.socket_hook = config::mptcpizes(config, here.node) && kernel::has_socket_hook();
  auto next_hops = kernel::find_next_hops(config::tunnel_ends(config, here.node));
  if (!next_hops) return fail(std::move(next_hops.error()));
  here.facts.next_hops = std::move(*next_hops);
  auto wanted = config::resolve(config, here.node, here.facts, drains, health);
  if (!wanted) return fail(std::move(wanted.error()));

  std::set<model::IpAddress> unknown;
  for (const auto& address : wanted->neighbours_wanted)
    if (!here.facts.neighbours.contains(address)) unknown.insert(address);
  if (unknown.empty()) return wanted;
  auto found = kernel::resolve_neighbours(wanted->interface, unknown, patience);
  if (!found && unasked == Unasked::leave_unknown) return wanted;
  if (!found) return fail(std::move(found.error()));
  here.facts.neighbours.merge(*found);
  return config::resolve(config, here.node, here.facts, drains, health);
}

std::expected<Wanted, Exit> wanted_here(const Options& options, std::string_view command) {
  auto config = load(options, command);
  if (!config) return std::unexpected(config.error());
  auto here = find_here(*config, options);
  if (!here) return std::unexpected(give_up(options, command, here.error()));
  return wanted_of(options, command, std::move(*config), std::move(*here));
}

std::expected<Wanted, Exit> wanted_of(const Options& options, std::string_view command,
                                      config::Config config, Here here, Unasked unasked) {
  auto drains = engine::read_drains(drain_places(options, here.node));
  if (!drains) return std::unexpected(give_up(options, command, drains.error()));
  const auto health = engine::read_health(options.state_dir);
  if (!health) return std::unexpected(give_up(options, command, health.error()));
  auto desired =
      resolve_here(config, std::move(here), *drains, *health, neighbour_patience, unasked);
  if (!desired) return std::unexpected(give_up(options, command, desired.error()));
  return Wanted{std::move(*desired), std::move(*drains), std::move(config)};
}

engine::Goal goal_of(const config::Desired& desired, const Options& options) {
  engine::Goal goal{.want = desired.state, .asked = desired.drains};
  if (options.no_drain) {
    goal.patience.reset();
  } else {
    goal.patience = desired.patience;
  }
  goal.adopt = options.adopt;
  return goal;
}

Result<Session> Session::open(const Options& options) {
  auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return fail(std::move(kernel.error()));
  auto state = engine::StateDir::open(options.state_dir);
  if (!state) return fail(std::move(state.error()));
  auto lock = state->lock(lock_patience, [](const std::string& holder) {
    fmt::print(stderr, "lbctl: waiting for another lbctl (pid {}) to finish\n", holder);
  });
  if (!lock) return fail(std::move(lock.error()));
  const auto waiting = engine::tell_confirmation(state->store(), engine::Word::ask);
  if (!waiting) return fail(waiting.error());
  if (*waiting)
    return fail(Error(Errc::busy, fmt::format("an apply waits to be confirmed, {} more",
                                              plan::duration(**waiting)))
                    .with_hint("keep it: lbctl confirm; or wait until it is reverted"));
  return Session{std::move(*kernel), std::move(*state), std::move(*lock)};
}

void listen_for_stop() {
  struct sigaction action{};
  action.sa_handler = [](int) { stop_signal = 1; };
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    ::sigaction(number, &action, nullptr);
}

bool stop_asked() {
  return stop_signal != 0;
}

}  // namespace lbctl::cli
