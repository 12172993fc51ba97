// Reads what lbctl doctor judges by: what apply reads, and beside it what may stand in its way.
#include <algorithm>
#include <future>

#include "doctor.hpp"
#include "lbctl/daemon/peers.hpp"
#include "lbctl/kernel/facts.hpp"
#include "lbctl/kernel/listeners.hpp"
#include "lbctl/kernel/machine.hpp"
#include "lbctl/kernel/nft.hpp"

namespace lbctl::cli {
namespace {

using doctor::Facts;
using model::Subsystem;

// Three probes; a segment answers within milliseconds.
constexpr std::chrono::milliseconds segment_patience{300};

// All of an answer of a node that is there; the others are waited for in vain.
constexpr std::chrono::milliseconds peer_patience{1000};

struct Words {
  const char *id, *what;
};

Words words_of(Subsystem subsystem) {
  switch (subsystem) {
    case Subsystem::sysctl:
      return {"sysctls-unread", "sysctls"};
    case Subsystem::ipvs:
      return {"ipvs-unread", "IPVS"};
    case Subsystem::nft:
      return {"nftables-unread", "nftables"};
    case Subsystem::rtnl:
      return {"addresses-unread", "addresses"};
    case Subsystem::mptcp:
      return {"mptcp-unread", "MPTCP"};
    case Subsystem::xdp:
      return {"steering-unread", "XDP steering"};
    case Subsystem::unit:
      return {"units-unread", "systemd units"};
    case Subsystem::tunnel:
      break;
  }
  return {"tunnels-unread", "tunnels"};
}

void note(Facts& facts, Words words, Error error) {
  const auto same = std::ranges::find(facts.unread, words.id, &doctor::Unread::id);
  if (same == facts.unread.end()) facts.unread.push_back({words.id, words.what, std::move(error)});
}

/// Reads more than apply needs, and goes on where something cannot be read.
class Patiently final : public kernel::Backend {
 public:
  Patiently(kernel::Backend& inner, const std::set<std::string>& sysctls, Facts& facts)
      : inner_(inner), sysctls_(sysctls), facts_(facts) {}

  Subsystem subsystem() const override { return inner_.subsystem(); }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    model::Scope more = scope;
    more.sysctls.insert(sysctls_.begin(), sysctls_.end());
    more.ipvs_node = scope.ipvs;
    if (auto read = inner_.observe(more, out); !read)
      note(facts_, words_of(subsystem()), std::move(read.error()));
    return {};
  }

  kernel::Outcome execute(std::span<const model::Operation>) override {
    return {0, Error(Errc::invalid, "this only looks"), {}};
  }

 private:
  kernel::Backend& inner_;
  const std::set<std::string>& sysctls_;
  Facts& facts_;
};

void read_sockets(Facts& facts) {
  for (const model::L4 protocol : {model::L4::tcp, model::L4::udp}) {
    auto found = kernel::read_sockets(protocol);
    if (found)
      facts.sockets.insert(facts.sockets.end(), found->begin(), found->end());
    else
      note(facts, {"sockets-unread", "sockets"}, std::move(found.error()));
  }
}

/// Those that the services are about: whose the others are is nobody's business.
void keep_relevant(const Wanted& wanted, Facts& facts) {
  std::set<model::Port> ports;
  for (const auto& [name, service] : wanted.config.services) {
    ports.insert(service.ports.begin(), service.ports.end());
    for (const auto& [server, use] : service.servers)
      if (use.port) ports.insert(*use.port);
  }
  for (const auto& [key, endpoint] : wanted.desired.state.mptcp.endpoints)
    ports.insert(key.port);
  std::erase_if(facts.sockets, [&](const model::OpenSocket& socket) {
    return !ports.contains(socket.listener.port);
  });
}

void read_rules(const Wanted& wanted, Facts& facts) {
  auto rules = kernel::read_foreign_rules();
  const auto& nft = wanted.desired.state.nft;
  if (rules)
    facts.rules = std::move(*rules);
  else if (rules.error().code() != Errc::unsupported || nft.forward || nft.marks)
    note(facts, words_of(Subsystem::nft), std::move(rules.error()));
}

/// By which a host that answers is known for a node of the file.
void know_nodes(const Wanted& wanted, Facts& facts) {
  std::set<model::IpAddress> nodes;
  for (const auto& [name, server] : wanted.config.servers)
    nodes.insert(server.addresses.begin(), server.addresses.end());
  for (const auto& [name, director] : wanted.config.directors)
    if (name != wanted.desired.node)
      nodes.insert(director.addresses.begin(), director.addresses.end());
  if (auto found = kernel::resolve_neighbours(wanted.desired.interface, nodes, neighbour_patience))
    facts.node.neighbours.merge(*found);
}

void ask_segment(const Wanted& wanted, Facts& facts) {
  const auto director = wanted.config.directors.find(wanted.desired.node);
  if (director == wanted.config.directors.end()) return;
  const auto v4 = doctor::probed_vips(wanted.config, wanted.desired, model::Family::v4);
  const auto v6 = doctor::probed_vips(wanted.config, wanted.desired, model::Family::v6);
  using Answer = decltype(kernel::find_arp_holders({}, {}, {}));
  std::vector<std::future<Answer>> asked;
  for (const std::string& device : director->second.client_interfaces) {
    asked.push_back(
        std::async(std::launch::async, kernel::find_arp_holders, device, v4, segment_patience));
    asked.push_back(
        std::async(std::launch::async, kernel::find_ndp_holders, device, v6, segment_patience));
  }
  for (std::future<Answer>& one : asked) {
    auto found = one.get();
    if (!found) {
      note(facts, {"segment-unread", "who else answers for the VIPs"}, std::move(found.error()));
      continue;
    }
    for (auto& [vip, macs] : *found)
      facts.holders[vip].merge(macs);
  }
  if (!facts.holders.empty()) know_nodes(wanted, facts);
}

void measure_segment(const Wanted& wanted, Facts& facts) {
  const auto link = facts.node.links.find(wanted.desired.interface);
  std::set<model::IpAddress> near;
  for (const auto& [address, name] : doctor::near_servers(wanted.config, wanted.desired))
    near.insert(address);
  if (link == facts.node.links.end() || !link->second.up || near.empty()) return;
  if (auto found = kernel::find_narrow(link->first, near, link->second.mtu, segment_patience))
    facts.narrow = std::move(*found);
}

void read_routes(Facts& facts) {
  auto hops = kernel::find_next_hops(
      {doctor::far_client(model::Family::v4), doctor::far_client(model::Family::v6)});
  if (hops) facts.next_hops = std::move(*hops);
}

/// Without --node, as the units at boot have it.
std::string recognised(const config::Config& config, const model::NodeFacts& facts) {
  return config::recognise_node(config, std::nullopt, facts).value_or("");
}

}  // namespace

Result<doctor::Report> examine_here(const Options& options, const Wanted& wanted,
                                    const model::NodeFacts& node, const std::string& hash) {
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return fail(kernel.error());
  const auto ledger = engine::peek_ledger(options.state_dir);
  if (!ledger) return fail(ledger.error());
  Facts facts;
  facts.node = node;
  facts.config_hash = hash;
  facts.recognised = recognised(wanted.config, node);
  const auto sysctls = doctor::sysctls_of(wanted.config, wanted.desired);
  std::vector<Patiently> readers;
  std::vector<kernel::Backend*> backends;
  for (kernel::Backend* backend : kernel->backends())
    readers.emplace_back(*backend, sysctls, facts);
  for (Patiently& reader : readers)
    backends.push_back(&reader);
  const auto preview =
      engine::Engine(std::move(backends)).preview(goal_of(wanted.desired, options), *ledger);
  if (!preview) return fail(preview.error());

  facts.sysctls = preview->split.ours.sysctls;
  facts.machine = kernel::read_machine();
  if (wanted.desired.role == config::Role::real_server) {
    read_sockets(facts);
    keep_relevant(wanted, facts);
    kernel::find_owners(facts.sockets);
  }
  read_rules(wanted, facts);
  read_routes(facts);
  ask_segment(wanted, facts);
  measure_segment(wanted, facts);
  facts.peers =
      daemon::ask_peers(doctor::peer_places(wanted.config, wanted.desired.node), peer_patience);
  return doctor::examine({wanted.config, wanted.desired, preview->split.ours,
                          preview->split.foreign, preview->plan.operations, preview->refusals,
                          facts});
}

}  // namespace lbctl::cli
