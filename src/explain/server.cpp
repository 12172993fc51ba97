#include <fmt/format.h>

#include <algorithm>

#include "lbctl/explain/flow.hpp"

namespace lbctl::explain {
namespace {

using model::Flow;
using model::L4;

class Server {
 public:
  Server(const Flow& flow, const ServerView& view) : flow_(flow), view_(view) {}

  Explanation explain() {
    out_.steps = guard_steps(flow_, view_.state);
    const bool steered_away = flow_.protocol == L4::udp && steer();
    if (steered_away) return out_;
    const bool here = address();
    listen();
    if (out_.verdict == Verdict::not_here && here) out_.verdict = Verdict::local;
    return out_;
  }

 private:
  void say(std::string part, std::string text) {
    out_.steps.push_back({std::move(part), std::move(text)});
  }

  /// True: the packet leaves for another server, or is dropped.
  bool steer() {
    const auto& xdp = view_.state.xdp;
    const auto found = xdp.services.find({flow_.address, flow_.port});
    if (found == xdp.services.end() || xdp.attachments.empty()) {
      say("steering", xdp.attachments.empty() ? "no program of lbctl is attached"
                                              : "this address and port are not steered");
      return false;
    }
    std::string devices;
    for (const auto& [device, attachment] : xdp.attachments)
      devices +=
          fmt::format("{}{} ({})", devices.empty() ? "" : ", ", device, name(attachment.mode));
    say("steering", fmt::format("by connection ID, on {}; {} layouts, {} server ids", devices,
                                found->second.cids.size(), xdp.servers.size()));
    if (!view_.cid) {
      say("steering", "where a packet goes depends on its connection ID: name it with --cid");
      if (found->second.keep_long) say("steering", "long headers stay here (initial = \"local\")");
      out_.verdict = Verdict::depends;
      return false;
    }
    return steer_by(found->second, *view_.cid);
  }

  bool steer_by(const model::SteeredService& service, const Octets& cid) {
    const auto readings = read_slots(service.cids, cid);
    const auto fits =
        std::ranges::find_if(readings, [](const auto& r) { return r.id.has_value(); });
    if (fits == readings.end()) {
      say("steering", "no layout fits: it goes to the local stack, as IPVS chose");
      return false;
    }
    const auto slot = fits - readings.begin() + 1;
    const auto target = view_.state.xdp.servers.find(*fits->id);
    if (target == view_.state.xdp.servers.end() || fits->id->is_zero()) {
      say("steering",
          fmt::format("layout {}: server id {}, which no server has: {}", slot, fits->id->text(),
                      service.drop_unknown ? "dropped" : "to the local stack"));
      if (service.drop_unknown) out_.verdict = Verdict::refused;
      return service.drop_unknown;
    }
    const std::string who = fmt::format("layout {}: server id {}, {}", slot, fits->id->text(),
                                        view_.server_name(*fits->id));
    if (target->second.local) {
      say("steering", who + ": this node");
      return false;
    }
    if (target->second.mac.is_zero()) {
      say("steering", who + ": its Ethernet address is not known, so the packet stays here");
      return false;
    }
    const auto& tunnel = target->second.tunnel;
    say("steering",
        fmt::format("{}: sent on to {}{}", who, target->second.mac.text(),
                    tunnel ? fmt::format(", wrapped for {}", tunnel->destination.text()) : ""));
    out_.verdict = Verdict::to_server;
    out_.server_name = view_.server_name(*fits->id);
    return true;
  }

  /// The VIP, or a signal address with its endpoint.
  bool address() {
    std::string on;
    for (const auto& [key, settings] : view_.state.addresses)
      if (key.address == flow_.address) on = key.text();
    if (on.empty())
      say("address", fmt::format("{} is not on this node: what comes for it is not taken",
                                 flow_.address.text()));
    else
      say("address", on);
    const auto& endpoints = view_.state.mptcp.endpoints;
    for (const model::Port port : {model::Port{}, flow_.port}) {
      const auto found = endpoints.find({flow_.address, port});
      if (flow_.protocol == L4::tcp && found != endpoints.end())
        say("endpoint", fmt::format("{} {}", found->first.text(), found->second.text()));
    }
    return !on.empty();
  }

  void listen() {
    bool any = false;
    for (const model::Listener& one : view_.listeners) {
      if (!one.takes(flow_.address)) continue;
      any = true;
      const bool tcp = flow_.protocol == L4::tcp;
      say("listener", fmt::format("{}{}", endpoint_text(one.address, one.port),
                                  !tcp        ? ""
                                  : one.mptcp ? ", MPTCP"
                                              : ", plain TCP: no MPTCP connection begins here"));
    }
    if (any) return;
    say("listener", fmt::format("no socket takes {} on port {} of {}", name(flow_.protocol),
                                number(flow_.port), flow_.address.text()));
    if (out_.verdict == Verdict::not_here) out_.verdict = Verdict::refused;
  }

  const Flow& flow_;
  const ServerView& view_;
  Explanation out_;
};

}  // namespace

Explanation explain_on_server(const Flow& flow, const ServerView& view) {
  return Server(flow, view).explain();
}

}  // namespace lbctl::explain
