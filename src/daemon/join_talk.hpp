// An MPTCP connection and one join to it, as a client makes them: what is to be sent, and what the
// answers mean (RFC 8684, 3.1 and 3.2). By hand, since no socket option tells of the C flag and
// none chooses where a join goes. Pure; Linux answers so from 5.15 to 6.18.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/model/mptcp.hpp"
#include "segment.hpp"

namespace lbctl::daemon {

class JoinTalk {
 public:
  struct Ends {
    model::EndpointKey self;
    model::EndpointKey asked;        ///< the connection
    model::EndpointKey signal;       ///< the join
    model::IpAddress signal_server;  ///< to whose Ethernet address joins go
  };
  struct Chance {
    std::uint64_t key = 0;
    std::uint32_t sequence = 0, join_sequence = 0, nonce = 0;
  };
  struct Outgoing {
    model::IpAddress next_hop;
    std::string packet;
  };

  JoinTalk(Ends ends, const Chance& chance);

  /// What stands unanswered; to be sent at once, and again from time to time.
  std::vector<Outgoing> due() const;
  /// Whether it changed anything: then something else is due, or it is over. It may hold anything.
  bool hear(const model::IpAddress& from, std::string_view segment);
  /// Nothing as long as it goes on; empty: all is right.
  const std::optional<std::string>& outcome() const { return outcome_; }
  /// What remains unanswered, if it was not answered in time.
  std::string unanswered() const;
  /// Ends at the server what stands there.
  std::vector<Outgoing> farewell() const;

 private:
  enum class Stage : std::uint8_t { connecting, joining, confirming };

  bool over(std::string why);
  bool hear_connection(const Segment& segment);
  bool take_capable(const Segment& segment);
  bool hear_join(const Segment& segment);
  bool take_join(const Segment& segment);
  bool refused(const Segment& segment);
  Outgoing to_asked(std::uint8_t flags, std::string options) const;
  Outgoing to_signal(std::uint8_t flags, std::string options) const;

  Ends ends_;
  std::string key_, nonce_;                        ///< 8 and 4 octets
  std::uint32_t sequence_, join_sequence_;         ///< of our SYNs
  std::string server_key_, server_nonce_;          ///< empty until they came
  std::uint32_t server_next_ = 0, join_next_ = 0;  ///< what comes next from the server
  Stage stage_ = Stage::connecting;
  bool refused_once_ = false;
  std::optional<std::string> outcome_;
};

}  // namespace lbctl::daemon
