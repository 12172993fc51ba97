#pragma once

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "common/json.hpp"
#include "h3/cid.hpp"
#include "h3/clock.hpp"
#include "h3/http3.hpp"
#include "h3/tls.hpp"
#include "h3/udp.hpp"

namespace peer {

/// What all connections of one server share.
struct H3Settings {
  std::string name;
  CidFormat cid;
  std::optional<CidFormat> next_cid;  // of the same length: SIGUSR2 says from when on
  std::chrono::milliseconds idle_timeout{30000};
  bool retry = false;  // validate every client's address with a Retry packet first
};

class Connection;

/// What a connection needs from its server.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual const H3Settings& settings() const = 0;
  virtual const Tls& tls() const = 0;
  /// Of this process only: a token that another server made must not end our connections.
  virtual std::span<const std::uint8_t> reset_secret() const = 0;
  /// A connection ID that names this server.
  virtual ngtcp2_cid new_cid() const = 0;
  virtual void log(const JsonObject& event) const = 0;
  virtual void add_cid(const Octets& cid, Connection& connection) = 0;
  virtual void remove_cid(const Octets& cid) = 0;
  virtual void send(const ngtcp2_path& path, std::span<const std::uint8_t> packet) = 0;
};

std::span<const std::uint8_t> octets_of(const ngtcp2_cid& cid);
/// The path points into the datagram.
ngtcp2_path path_of(Datagram& datagram);

/// One QUIC connection, from its first Initial to the end of its closing or draining period.
class Connection {
 public:
  /// `retried_dcid` is the client's first destination connection ID, when a Retry came between.
  /// Null when TLS or ngtcp2 refuse to begin.
  static std::unique_ptr<Connection> accept(ConnectionHost& host, const ngtcp2_pkt_hd& initial,
                                            const std::optional<ngtcp2_cid>& retried_dcid,
                                            Datagram& datagram);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  void on_datagram(Datagram& datagram);
  void on_expiry();
  ngtcp2_tstamp expiry() const;
  void stop_dripping() { http_->stop_dripping(); }
  bool finished() const { return state_ == State::finished; }

 private:
  friend struct Callbacks;  // callbacks.cpp: what ngtcp2 calls
  enum class State { open, closing, draining, finished };

  explicit Connection(ConnectionHost& host) : host_(host) {}
  bool begin(const ngtcp2_pkt_hd& initial, const std::optional<ngtcp2_cid>& retried_dcid,
             Datagram& datagram);
  void add_cid(const ngtcp2_cid& cid);
  void remove_cid(const ngtcp2_cid& cid);

  void write();
  /// One packet or one stream's share of one; false when nothing more is to be sent now.
  bool write_some(std::span<std::uint8_t> packet, std::size_t& sent);
  void note_path();
  /// Sends CONNECTION_CLOSE; `error` is ngtcp2's, unless HTTP/3 has already said what is wrong.
  void close_with(int error);
  void enter(State state, std::string_view reason, std::uint64_t code);
  void finish(std::string_view reason);
  JsonObject event(std::string_view kind) const;

  ConnectionHost& host_;
  std::string name_;           // its first connection ID, in hexadecimal: the log's name for it
  std::string remote_;         // of the path in use
  std::string packet_remote_;  // of the packet being read
  std::set<Octets> cids_;
  ngtcp2_crypto_conn_ref reference_{};
  TlsSession tls_;
  std::unique_ptr<ngtcp2_conn, FreeWith<&ngtcp2_conn_del>> quic_;
  std::unique_ptr<Http3> http_;
  State state_ = State::open;
  ngtcp2_tstamp deadline_ = 0;  // the end of the closing or draining period
  ngtcp2_connection_close_error error_{};
  bool http_failed_ = false;
  Octets close_packet_;
  std::uint64_t packets_since_close_ = 0;
};

/// The callbacks of a Connection, which must be ngtcp2's user_data.
ngtcp2_callbacks make_callbacks();

}  // namespace peer
