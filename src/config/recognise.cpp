#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lbctl/config/resolve.hpp"

namespace lbctl::config {
namespace {

/// For messages; a large cluster is not printed in full.
std::string listed_nodes(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  if (names.empty()) return "the file has no nodes";
  const std::size_t shown = std::min(names.size(), most);
  std::string out =
      fmt::format("the nodes of the file are {}",
                  fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "));
  if (shown < names.size()) out += fmt::format(" and {} more", names.size() - shown);
  return out;
}

bool has_node(const Config& config, const std::string& name) {
  return config.directors.contains(name) || config.servers.contains(name);
}

std::vector<std::string> nodes_at(const Config& config, const std::set<model::IpAddress>& local) {
  const auto here = [&](const auto& node) {
    return std::ranges::any_of(node.addresses,
                               [&](const auto& address) { return local.contains(address); });
  };
  std::vector<std::string> out;
  for (const auto& [name, director] : config.directors) {
    if (here(director)) out.push_back(name);
  }
  for (const auto& [name, server] : config.servers) {
    if (here(server)) out.push_back(name);
  }
  return out;
}

}  // namespace

Result<std::string> recognise_node(const Config& config, const std::optional<std::string>& asked,
                                   const model::NodeFacts& facts) {
  const std::string nodes = listed_nodes(config.node_names());
  if (asked) {
    if (has_node(config, *asked)) return *asked;
    return fail(
        Error(Errc::not_found, fmt::format("no node \"{}\" in the file", *asked)).with_hint(nodes));
  }
  const std::string& host = facts.host_name;
  if (has_node(config, host)) return host;
  if (std::string first = host.substr(0, host.find('.')); has_node(config, first)) {
    return first;
  }
  const std::vector<std::string> here = nodes_at(config, facts.local_addresses);
  if (here.size() == 1) return here.front();
  if (here.size() > 1) {
    return fail(Error(Errc::invalid,
                      fmt::format("this machine has the addresses of {}", fmt::join(here, " and ")))
                    .with_hint("say which node it is: --node NAME"));
  }
  return fail(Error(Errc::not_found,
                    fmt::format("this machine is no node of the file: neither its host name \"{}\" "
                                "nor an address of its own stands there",
                                host))
                  .with_hint(fmt::format("--node NAME; {}", nodes)));
}

}  // namespace lbctl::config
