#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/json.hpp"
#include "h3/connection.hpp"

namespace peer {

/// The sockets and all connections. Every event is logged; see tests/peers/README.md.
class H3Server : private ConnectionHost {
 public:
  H3Server(H3Settings settings, Tls tls, EventLog log);

  std::expected<void, std::string> listen(const std::vector<SocketAddress>& addresses);
  /// Until SIGTERM or SIGINT.
  std::expected<void, std::string> run();

 private:
  struct Counters {
    std::uint64_t connections = 0, unknown_dcid = 0, resets_sent = 0, retries_sent = 0;
    std::uint64_t version_negotiations = 0, malformed = 0, send_errors = 0;
  };

  const H3Settings& settings() const override { return settings_; }
  const Tls& tls() const override { return tls_; }
  std::span<const std::uint8_t> reset_secret() const override { return secret_; }
  ngtcp2_cid new_cid() const override;
  void log(const JsonObject& event) const override { log_.write(event); }
  void add_cid(const Octets& cid, Connection& connection) override;
  void remove_cid(const Octets& cid) override;
  void send(const ngtcp2_path& path, std::span<const std::uint8_t> packet) override;

  bool told_to_end(int signals);
  bool is_own(std::span<const std::uint8_t> cid) const;
  void on_datagram(Datagram& datagram);
  void on_unknown_long_header(Datagram& datagram, std::span<const std::uint8_t> dcid);
  void on_unknown_dcid(Datagram& datagram, std::span<const std::uint8_t> dcid, bool long_header);
  void accept(Datagram& datagram, const ngtcp2_pkt_hd& initial);
  void send_stateless(Datagram& datagram, const Octets& packet, std::uint64_t& counter);
  void run_timers();
  int poll_timeout() const;  // milliseconds, rounded up; -1: none
  JsonObject event(std::string_view kind) const;

  H3Settings settings_;
  bool next_ = false;  // connection IDs are those of settings_.next_cid now
  Tls tls_;
  EventLog log_;
  std::array<std::uint8_t, 32> secret_;
  Counters counters_;
  std::vector<UdpSocket> sockets_;
  std::map<Octets, Connection*> by_cid_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
};

}  // namespace peer
