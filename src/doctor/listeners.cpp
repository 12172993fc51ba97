// Does somebody listen where clients are sent, and the way that the service means it?
#include <fmt/format.h>

#include <algorithm>

#include "parts.hpp"

namespace lbctl::doctor {
namespace {

using config::Protocol;
using model::IpAddress;
using model::L4;
using model::OpenSocket;
using model::Port;

bool is_wildcard(const IpAddress& address) {
  return address == IpAddress() || address == IpAddress::parse("::");
}

std::string who(const OpenSocket& socket) {
  return socket.owner ? socket.owner->text() : "the kernel, or a process that cannot be seen";
}

std::string seen(const OpenSocket& socket) {
  return fmt::format("{} listens on {}", who(socket),
                     endpoint_text(socket.listener.address, socket.listener.port));
}

class Listeners {
 public:
  Listeners(const Patient& patient, const config::Server& server, Findings& out)
      : patient_(patient), server_(server), out_(out) {}

  void examine(const config::Service& service) {
    const auto use = service.servers.find(server_.name);
    for (const Protocol protocol : service.protocols)
      for (const IpAddress& vip : service.vips)
        for (const Port port : service.ports) {
          // Under masquerade the packets come with the server's own address and port.
          const auto to = service.vip_on_servers() ? vip : server_.address_of(vip.family());
          const Port at =
              use == service.servers.end() ? port : service.server_port(use->second, port);
          if (to) examine(service, protocol, *to, at);
        }
  }

  /// Endpoints with a port: the kernel itself has to listen there, or does already.
  void examine_clashes() {
    const auto& wanted = patient_.desired.state.mptcp.endpoints;
    for (const auto& [key, endpoint] : wanted)
      if (number(key.port) != 0 && !patient_.ours.mptcp.endpoints.contains(key) &&
          !patient_.foreign.mptcp.endpoints.contains(key))
        in_the_way(key);
    for (const auto* state : {&patient_.ours, &patient_.foreign})
      for (const auto& [key, endpoint] : state->mptcp.endpoints)
        if (number(key.port) != 0) takes_service_port(key, endpoint);
  }

 private:
  /// Those that get what comes to this address: sockets that name it go before wildcards.
  std::vector<const OpenSocket*> takers(L4 protocol, const IpAddress& address, Port port) const {
    std::vector<const OpenSocket*> exact, any;
    for (const OpenSocket& socket : patient_.facts.sockets)
      if (socket.protocol == protocol && socket.listener.port == port &&
          socket.listener.takes(address))
        (is_wildcard(socket.listener.address) ? any : exact).push_back(&socket);
    return exact.empty() ? any : exact;
  }

  void examine(const config::Service& service, Protocol protocol, const IpAddress& to, Port port) {
    const L4 transport = config::layer4(protocol);
    const auto found = takers(transport, to, port);
    if (found.empty()) return missing(service, transport, to, port);
    if (transport == L4::udp) {
      if (service.vip_on_servers())
        for (const OpenSocket* socket : found)
          answers_from(*socket, to);
      return;
    }
    if (protocol != Protocol::mptcp) return;
    plain_tcp(service, found);
    if (service.mptcp.signal == config::Signal::address && service.servers.contains(server_.name))
      for (const model::EndpointKey& signal : service.announced(server_))
        if (signal.address.family() == to.family()) by_signal(service, signal.address, port);
  }

  void missing(const config::Service& service, L4 transport, const IpAddress& to, Port port) {
    out_.add({.id = "listener-missing",
              .severity = Severity::error,
              .evidence = {fmt::format("no {} socket takes {} (service {})", name(transport),
                                       endpoint_text(to, port), service.name)},
              .consequence = "clients that a director sends here are refused",
              .mend = "start the application, or have it listen on the VIP or on every address; "
                      "until then lbctl drain on a director keeps clients away"});
  }

  void plain_tcp(const config::Service& service, const std::vector<const OpenSocket*>& found) {
    for (const OpenSocket* socket : found) {
      if (socket->listener.mptcp) continue;
      Finding finding{
          .id = "listener-plain-tcp",
          .severity = Severity::error,
          .evidence = {fmt::format("{} by plain TCP; service {} has mptcp", seen(*socket),
                                   service.name)},
          .consequence = "every connection falls back to TCP, and no extra path is ever used"};
      how_to_mptcp(*socket, finding);
      out_.add(std::move(finding));
    }
  }

  static void how_to_mptcp(const OpenSocket& socket, Finding& finding) {
    const std::string command = socket.owner ? socket.owner->command : "";
    const std::string unit = socket.owner ? socket.owner->unit : "";
    std::string own = "have the application make its socket with IPPROTO_MPTCP";
    if (command.starts_with("haproxy"))
      own =
          "write \"bind mptcp4@ADDRESS:PORT\" (IPv6: mptcp6@) in haproxy.cfg, HAProxy 3.1 or newer";
    if (command.starts_with("nginx"))
      own = "add \"multipath\" to the listen directives, where this nginx knows it";
    finding.mend =
        unit.empty()
            ? fmt::format("{}; or start it by: mptcpize run COMMAND", own)
            : fmt::format("{}; or, as it is, by mptcpize(8), from the package mptcpd", own);
    if (!unit.empty()) finding.commands = {"mptcpize enable " + unit, "systemctl restart " + unit};
  }

  void by_signal(const config::Service& service, const IpAddress& signal, Port port) {
    const auto found = takers(L4::tcp, signal, port);
    if (!found.empty()) return plain_tcp(service, found);
    // An endpoint with that port would do: the kernel listens for it.
    out_.add({.id = "listener-vip-only",
              .severity = Severity::error,
              .evidence = {fmt::format("no socket takes {}, which clients are told to join "
                                       "(service {})",
                                       endpoint_text(signal, port), service.name)},
              .consequence = "joins to the signal address are refused: no extra path is ever used",
              .mend = "have the application listen on the signal addresses, too, or on every "
                      "address (0.0.0.0 and ::)"});
  }

  /// A wildcard socket answers from the address that routing chooses, unless it is told better.
  void answers_from(const OpenSocket& socket, const IpAddress& vip) {
    if (!is_wildcard(socket.listener.address) || socket.learns_destination.value_or(false)) return;
    const bool known = socket.learns_destination.has_value();
    out_.add({.id = "listener-udp-wildcard",
              .severity = known ? Severity::warning : Severity::doubt,
              .evidence = {fmt::format(
                  "{} by UDP{}", seen(socket),
                  known ? ", and never asked to which address a packet came (IP_PKTINFO)"
                        : "; whether it asks to which address a packet came cannot be seen")},
              .consequence = fmt::format(
                  "it answers from this server's own address instead of {}, and clients throw the "
                  "answers away",
                  vip.text()),
              .mend = "have the application bind the VIP, or set IP_PKTINFO and IPV6_RECVPKTINFO "
                      "and answer from where the packet came to"});
  }

  void in_the_way(const model::EndpointKey& key) {
    for (const OpenSocket& socket : patient_.facts.sockets) {
      const auto& at = socket.listener;
      if (socket.protocol != L4::tcp || at.port != key.port || !at.takes(key.address)) continue;
      out_.add(
          {.id = "listener-endpoint-clash",
           .severity = Severity::error,
           .evidence = {fmt::format("{}; endpoint {} needs that port", seen(socket), key.text())},
           .consequence = "the endpoint cannot be made (EADDRINUSE), and nothing is announced "
                          "to clients",
           .mend = fmt::format("have {} listen elsewhere, or choose another port_base; then "
                               "lbctl apply",
                               socket.owner ? socket.owner->command : "it")});
    }
  }

  void takes_service_port(const model::EndpointKey& key, const model::Endpoint& endpoint) {
    for (const config::Service* service : services_here(patient_)) {
      if (std::ranges::find(service->ports, key.port) == service->ports.end()) continue;
      out_.add({.id = "endpoint-port-clash",
                .severity = Severity::error,
                .evidence = {fmt::format("the kernel listens on {} for an endpoint; service {} has "
                                         "that port",
                                         key.text(), service->name)},
                .consequence =
                    "an application that listens on every address cannot start, or start "
                    "again (EADDRINUSE)",
                .mend = "remove the endpoint, or announce the address without a port",
                .commands = {fmt::format("ip mptcp endpoint delete id {}", endpoint.id)}});
    }
  }

  const Patient& patient_;
  const config::Server& server_;
  Findings& out_;
};

}  // namespace

void examine_listeners(const Patient& patient, Findings& out) {
  const config::Server* server = this_server(patient);
  if (server == nullptr || unread(patient, "sockets-unread")) return;
  Listeners listeners(patient, *server, out);
  for (const config::Service* service : services_here(patient))
    listeners.examine(*service);
  listeners.examine_clashes();
}

}  // namespace lbctl::doctor
