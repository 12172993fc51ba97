#include <fmt/format.h>

#include "holdings.hpp"
#include "lbctl/config/json_schema.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {
namespace {

Exit print_json(const config::Loaded& loaded, std::span<const Holding> nodes, Exit exit) {
  Json json = document("check");
  json["result"] = exit == Exit::done ? "ok" : "bad_file";
  if (loaded.config) json["cluster"] = loaded.config->cluster.name;
  if (loaded.config) json["nodes"] = Json::array();
  for (const Holding& node : nodes)
    json["nodes"].push_back(to_json(node));
  json["diagnostics"] = Json::array();
  for (const auto& diagnostic : loaded.diagnostics)
    json["diagnostics"].push_back(to_json(diagnostic));
  print(json);
  return exit;
}

}  // namespace

Exit check(const Options& asked) {
  if (asked.schema) {
    fmt::print("{}\n", config::json_schema());
    return Exit::done;
  }
  Options options = asked;
  if (asked.check_file) options.file = *asked.check_file;

  const config::Loaded loaded = read(options);
  std::vector<Holding> nodes;
  if (loaded.config) nodes = holdings(*loaded.config);
  std::size_t warnings = 0;
  for (const Holding& node : nodes)
    warnings += node.desired.warnings.size();
  const bool refused = !loaded.config || (warnings > 0 && options.warnings_are_errors());
  const Exit exit = refused ? Exit::bad_file : Exit::done;
  if (options.json) return print_json(loaded, nodes, exit);

  for (const auto& diagnostic : loaded.diagnostics)
    fmt::print(stderr, "{}", config::render(diagnostic));
  for (const Holding& node : nodes) {
    for (const std::string& warning : node.desired.warnings)
      fmt::print(stderr, "{}: {}: {}: {}\n", options.file,
                 options.warnings_are_errors() ? "error" : "warning", node.desired.node, warning);
  }
  if (refused) return exit;
  fmt::print("{}: ok: cluster {}: {}, {}, {}\n", options.file, loaded.config->cluster.name,
             count(loaded.config->directors.size(), "director"),
             count(loaded.config->servers.size(), "real server"),
             count(loaded.config->services.size(), "service"));
  for (const Holding& node : nodes)
    fmt::print("{}", render(node));
  return exit;
}

}  // namespace lbctl::cli
