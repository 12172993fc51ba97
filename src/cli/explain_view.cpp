#include "explain_view.hpp"

#include <algorithm>

#include "lbctl/engine/ownership.hpp"
#include "lbctl/kernel/ipvs.hpp"

namespace lbctl::cli {

std::string server_called(const config::Config& config, const model::ServerId& id) {
  for (const auto& [name, server] : config.servers) {
    if (server.id == id) return name;
    for (const auto& address : server.addresses)
      if (model::address_id(address) == id) return name;
  }
  return "which is in the file no more";
}

Result<Seen> look(const Options& options, const Wanted& wanted,
                  std::span<const model::Flow> flows) {
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return fail(kernel.error());
  const auto ledger = engine::peek_ledger(options.state_dir);
  if (!ledger) return fail(ledger.error());
  const model::Scope scope = engine::scope_of(wanted.desired.state, *ledger);
  Seen out;
  for (kernel::Backend* backend : kernel->backends())
    if (auto ok = backend->observe(scope, out.observed); !ok) return fail(std::move(ok.error()));
  auto connections = kernel::find_connections(flows);
  if (!connections) return fail(std::move(connections.error()));
  out.connections = std::move(*connections);
  return out;
}

}  // namespace lbctl::cli
