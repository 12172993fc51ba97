#include <fmt/format.h>

#include <algorithm>

#include "lbctl/explain/flow.hpp"
#include "lbctl/explain/scheduler.hpp"

namespace lbctl::explain {

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::to_server:
      return "to_server";
    case Verdict::depends:
      return "depends";
    case Verdict::local:
      return "local";
    case Verdict::refused:
      return "refused";
    case Verdict::not_here:
      return "not_here";
  }
  return "unknown";
}

namespace {

using model::DestinationKey;
using model::Flow;
using model::ServiceKey;
using model::VirtualService;

class Director {
 public:
  Director(const Flow& flow, const DirectorView& view) : flow_(flow), view_(view) {}

  Explanation explain() {
    out_.steps = guard_steps(flow_, view_.state);
    if (forwarded() || connected()) return out_;
    const auto key = service();
    if (!key) {
      say("service", fmt::format("no virtual service for {} {}", name(flow_.protocol),
                                 endpoint_text(flow_.address, flow_.port)));
      const bool ours = std::ranges::any_of(view_.state.addresses, [&](const auto& entry) {
        return entry.first.address == flow_.address;
      });
      if (ours) say("address", "it stands on this node: the local stack takes it");
      out_.verdict = ours ? Verdict::local : Verdict::not_here;
      return out_;
    }
    schedule(*key, view_.state.ipvs.at(*key));
    return out_;
  }

 private:
  void say(std::string part, std::string text) {
    out_.steps.push_back({std::move(part), std::move(text)});
  }

  void go(const model::IpAddress& server) {
    out_.verdict = Verdict::to_server;
    out_.server = server;
  }

  /// A signal address: brought home at ingress, before IPVS sees it.
  bool forwarded() {
    if (!view_.state.nft.forward || flow_.protocol != model::L4::tcp) return false;
    const auto& addresses = view_.state.nft.forward->addresses;
    for (const model::Port port : {model::Port{}, flow_.port}) {
      const auto found = addresses.find({flow_.address, port});
      if (found == addresses.end() || !found->second.server) continue;
      say("signal", fmt::format("{} is what {} announces: nftables hands it on at ingress",
                                found->first.text(), view_.server_name(*found->second.server)));
      go(*found->second.server);
      return true;
    }
    return false;
  }

  bool connected() {
    if (!view_.connection) return false;
    const auto& entry = *view_.connection;
    say("connection",
        fmt::format("IPVS has an entry: {}, {}, forgotten in {} s without a packet",
                    view_.server_name(entry.destination.address), entry.state, entry.expires));
    go(entry.destination.address);
    return true;
  }

  /// The firewall mark is looked for first, as the kernel does.
  std::optional<ServiceKey> service() {
    for (const auto& [key, mark] : view_.state.nft.marks.value_or(model::Marks{})) {
      if (key.address != flow_.address || key.protocol != flow_.protocol ||
          flow_.port < key.ports.first || flow_.port > key.ports.last || mark.value == 0)
        continue;
      const ServiceKey by_mark = model::fwmark_service(mark.value, flow_.address.family());
      say("mark", fmt::format("nftables gives it the firewall mark {}", mark.value));
      if (view_.state.ipvs.contains(by_mark)) return by_mark;
      say("mark", "which no virtual service goes by");
    }
    const ServiceKey exact{flow_.address, flow_.protocol, flow_.port, 0};
    if (view_.state.ipvs.contains(exact)) return exact;
    return std::nullopt;
  }

  std::vector<Candidate> candidates(const ServiceKey& key, const VirtualService& service) const {
    std::vector<std::pair<std::uint32_t, Candidate>> placed;
    for (const auto& [destination, settings] : service.destinations) {
      const auto figures = view_.counters.find({key, destination});
      const auto place = figures == view_.counters.end() ? 0 : figures->second.place;
      const bool drains = settings.weight == model::Weight{};
      placed.push_back({place,
                        {destination, settings.weight,
                         drains ? view_.weight_before(key, destination) : settings.weight}});
    }
    std::ranges::sort(placed, {}, &std::pair<std::uint32_t, Candidate>::first);
    std::vector<Candidate> out;
    for (auto& [place, candidate] : placed)
      out.push_back(std::move(candidate));
    return out;
  }

  void schedule(const ServiceKey& key, const VirtualService& service) {
    std::string flags;
    for (const std::string& flag : scheduler_flag_names(service))
      flags += ", " + flag;
    say("service", fmt::format("{}, scheduler {}{}", key.text(), service.scheduler, flags));
    const auto all = candidates(key, service);
    if (std::ranges::none_of(all, [](const auto& c) { return c.weight != model::Weight{}; })) {
      say("service", "no destination takes new connections");
      out_.verdict = Verdict::refused;
      return;
    }
    if (all.size() == 1) {
      say("scheduler", "there is one destination only: " + view_.server_name(all[0].key.address));
      return go(all[0].key.address);
    }
    if (service.flags.persistent) {
      say("scheduler", "the service is persistent: it depends on where the client was before");
      return depend(all);
    }
    if (!is_computable(service)) {
      say("scheduler",
          fmt::format("{} depends on the state of the kernel: one of", service.scheduler));
      return depend(all);
    }
    choose_by_hash(service, all);
  }

  void depend(const std::vector<Candidate>& all) {
    for (const Candidate& one : all)
      if (one.weight != model::Weight{})
        say("destination",
            fmt::format("{}, weight {}", view_.server_name(one.key.address), number(one.weight)));
    out_.verdict = Verdict::depends;
  }

  void choose_by_hash(const VirtualService& service, const std::vector<Candidate>& all) {
    const Choice choice = choose(service, all, flow_);
    for (const Candidate& one : all)
      if (service.scheduler == "mh" && one.weight == model::Weight{})
        say("scheduler",
            one.last_weight == model::Weight{}
                ? fmt::format("{} takes no new connections; its weight before is not known, and "
                              "counts: the choice may be another",
                              view_.server_name(one.key.address))
                : fmt::format("{} takes no new connections; its weight was {}, as the file has it",
                              view_.server_name(one.key.address), number(one.last_weight)));
    const std::string by = service.flags.sched2 ? "address and port" : "address";
    if (choice.first)
      say("scheduler", fmt::format("the client's {} hashes onto {}, which takes no new connections",
                                   by, view_.server_name(choice.first->address)));
    if (!choice.destination) {
      say("scheduler", "without fallback the flow is refused");
      out_.verdict = Verdict::refused;
      return;
    }
    say("scheduler",
        fmt::format("{} {}",
                    choice.first ? "fallback takes" : "the client's " + by + " hashes onto",
                    view_.server_name(choice.destination->address)));
    if (service.destinations.at(*choice.destination).upper_threshold != 0)
      say("scheduler", "unless its threshold of connections is reached");
    go(choice.destination->address);
  }

  const Flow& flow_;
  const DirectorView& view_;
  Explanation out_;
};

}  // namespace

Explanation explain_on_director(const Flow& flow, const DirectorView& view) {
  return Director(flow, view).explain();
}

}  // namespace lbctl::explain
