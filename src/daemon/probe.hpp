// One question to one server, and its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/config/config.hpp"
#include "lbctl/model/address.hpp"

namespace lbctl::daemon {

/// Equal ones are asked once, however many services need them.
struct ProbeSpec {
  model::IpAddress address;  ///< of the server
  model::Port port{};
  /// Through IPVS, as a client's packets come: to the VIP, by the mark that names the server.
  struct Through {
    model::IpAddress vip, source;
    std::uint32_t mark = 0;
  };
  std::optional<Through> through;
  config::HealthCheck check;
  std::string service, server;  ///< exec, which is told of them; else empty
  /// mptcp: what the server announces for joins, of the address's family. `join_mark`: not 0 where
  /// IPVS would take joins itself, also from here; it names the server.
  std::vector<model::EndpointKey> joins;
  std::uint32_t join_mark = 0;
  struct CidSlot {
    config::QuicCid cid;
    model::ServerId id;  ///< what it calls this server
  };
  std::vector<CidSlot> slots;  ///< quic with a handshake: the service's, without keys
  std::string id() const;      ///< unique; begins as people know it: "http 192.0.2.11:80"
  std::string title() const;
};

enum class Answer : std::uint8_t {
  right,
  wrong,
  unknown,  ///< this node could not ask; says nothing about the server
};

struct Verdict {
  Answer answer = Answer::unknown;
  std::string why;  ///< empty if right: "connection refused", "status 500"
  std::chrono::microseconds took{};
  std::optional<std::uint8_t> percent;  ///< of its weight, as the server wants it; with `right`
};

/// Asks again and again until it is destroyed.
class Probe {
 public:
  virtual ~Probe() = default;
};

/// Told of every answer; when to ask next is what it returns.
using Judged = std::function<std::chrono::milliseconds(const Verdict&)>;

}  // namespace lbctl::daemon
