// What the file says of servers' health: how it is found out, and what follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lbctl::config {

enum class CheckType : std::uint8_t { tcp, http, https, mptcp, udp, dns, quic, exec, agent };
std::string_view name(CheckType type);

/// A program that the daemon runs, without a shell.
struct Command {
  std::vector<std::string> words;  ///< its absolute path and its arguments; empty: none
  std::string user = "nobody";
  friend auto operator<=>(const Command&, const Command&) = default;
};

/// How the daemon finds out whether a server is healthy. Times in seconds.
struct HealthCheck {
  CheckType type = CheckType::tcp;
  bool through_vip = false;  ///< asked at each VIP, through IPVS, as clients are
  std::uint16_t port = 0;    ///< 0: the service's first
  std::uint32_t interval = 5;
  std::uint32_t timeout = 2;       ///< at most the interval
  std::uint32_t max_interval = 0;  ///< while the server is down; 0: the interval
  std::uint32_t rise = 2;          ///< right answers in a row
  std::uint32_t fall = 3;          ///< wrong or missing answers in a row
  bool starts_up = true;           ///< before anything is known
  std::uint32_t hold_down = 0;     ///< a server that flaps is held back so long at most; 0: never

  struct Http {  ///< http and https
    std::string method = "GET";
    std::string path = "/";
    std::string host;  ///< empty: the server's address
    std::uint16_t status = 200;
    std::string header;   ///< a field's name; empty: none is looked at
    std::string pattern;  ///< POSIX extended: one field of that name must match
    std::string body;     ///< must occur in the answer's
    friend auto operator<=>(const Http&, const Http&) = default;
  } http;
  struct Tls {  ///< https, and quic with a handshake
    bool verify = true;
    std::string ca_file;  ///< empty: the system's authorities
    std::string name;     ///< in SNI and the certificate; empty: that of the host
    bool only_13 = false;
    friend auto operator<=>(const Tls&, const Tls&) = default;
  } tls;
  struct Datagram {    ///< udp; any octets
    std::string send;  ///< agent, too
    /// What the answer begins with; nothing: no answer is right, too.
    std::optional<std::string> expect;
    friend auto operator<=>(const Datagram&, const Datagram&) = default;
  } datagram;
  struct Dns {
    std::string name{'\0'};    ///< as in a message: labels with their lengths (RFC 1035, 3.1)
    std::uint16_t record = 6;  ///< SOA
    friend auto operator<=>(const Dns&, const Dns&) = default;
  } dns;
  struct Quic {
    bool handshake = false;   ///< else version negotiation only
    std::string alpn = "h3";  ///< the application's protocol
    friend auto operator<=>(const Quic&, const Quic&) = default;
  } quic;
  Command command;  ///< exec
  friend auto operator<=>(const HealthCheck&, const HealthCheck&) = default;
};

/// What follows from servers' health for one service. Times in seconds.
struct HealthPolicy {
  bool remove = true;  ///< a server that failed; else it has weight 0 as long as connections use it
  std::uint32_t slow_start = 0;  ///< from coming back to the whole weight
  std::uint32_t fail_open = 0;   ///< percent: with fewer servers healthy all are used
  friend bool operator==(const HealthPolicy&, const HealthPolicy&) = default;
};

/// Weights of healthy servers: reached at `up`, lost below `up - hysteresis`.
struct Quorum {
  std::uint32_t up = 1;
  std::uint32_t hysteresis = 0;  ///< less than `up`
  Command up_command, down_command;
  friend bool operator==(const Quorum&, const Quorum&) = default;
};

}  // namespace lbctl::config
