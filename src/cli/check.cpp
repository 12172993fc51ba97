#include <fmt/format.h>

#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

Exit check(const Options& options) {
  const config::Loaded loaded = config::read_file(options.file);
  if (options.json) {
    Json json = document("check");
    json["result"] = loaded.ok() ? "ok" : "bad_file";
    if (loaded.config) {
      json["cluster"] = loaded.config->cluster.name;
      json["nodes"] = loaded.config->node_names();
    }
    json["diagnostics"] = Json::array();
    for (const auto& diagnostic : loaded.diagnostics)
      json["diagnostics"].push_back(to_json(diagnostic));
    print(json);
    return loaded.ok() ? Exit::done : Exit::bad_file;
  }
  for (const auto& diagnostic : loaded.diagnostics)
    fmt::print(stderr, "{}", config::render(diagnostic));
  if (!loaded.config) return Exit::bad_file;
  fmt::print("{}: ok: cluster {}: {}, {}, {}\n", options.file, loaded.config->cluster.name,
             count(loaded.config->directors.size(), "director"),
             count(loaded.config->servers.size(), "real server"),
             count(loaded.config->services.size(), "service"));
  return Exit::done;
}

}  // namespace lbctl::cli
