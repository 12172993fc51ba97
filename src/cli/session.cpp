#include "session.hpp"

#include <fmt/format.h>

#include <chrono>

#include "lbctl/kernel/facts.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "output.hpp"

namespace lbctl::cli {

namespace {

/// How long the peers' Ethernet addresses are waited for: ARP and NDP ask once a second.
constexpr auto neighbour_patience = std::chrono::milliseconds(1500);

Result<model::NodeFacts> facts_of_node() {
  auto facts = kernel::read_facts();
  if (facts) facts->xdp_program = kernel::program_digest();
  return facts;
}

Result<config::Desired> resolve_here(const config::Config& config, const Options& options) {
  auto facts = facts_of_node();
  if (!facts) return fail(std::move(facts.error()));
  const auto node = config::recognise_node(config, options.node, *facts);
  if (!node) return fail(node.error());
  auto wanted = config::resolve(config, *node, *facts);
  if (!wanted) return fail(std::move(wanted.error()));

  std::set<model::IpAddress> unknown;
  for (const auto& address : wanted->neighbours_wanted)
    if (!facts->neighbours.contains(address)) unknown.insert(address);
  if (unknown.empty()) return wanted;
  auto found = kernel::resolve_neighbours(wanted->interface, unknown, neighbour_patience);
  if (!found) return fail(std::move(found.error()));
  facts->neighbours.merge(*found);
  return config::resolve(config, *node, *facts);
}

/// Prints the file's diagnostics; on an error the exit status: nothing was touched.
std::expected<config::Config, Exit> load(const Options& options, std::string_view command) {
  config::Loaded loaded = config::read_file(options.file);
  for (const auto& diagnostic : loaded.diagnostics)
    fmt::print(stderr, "{}", config::render(diagnostic));
  if (loaded.config) return std::move(*loaded.config);
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

}  // namespace

std::expected<config::Desired, Exit> desired(const Options& options, std::string_view command) {
  const auto config = load(options, command);
  if (!config) return std::unexpected(config.error());
  auto wanted = resolve_here(*config, options);
  if (!wanted) return std::unexpected(give_up(options, command, wanted.error()));
  return std::move(*wanted);
}

}  // namespace lbctl::cli
