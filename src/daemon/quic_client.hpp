// A QUIC connection (RFC 9000) that does nothing but shake hands, on ngtcp2 and GnuTLS: datagrams
// in, datagrams out. No sockets, no timers.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <sys/socket.h>

#include <chrono>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "lbctl/base/handle.hpp"
#include "lbctl/config/health.hpp"

namespace lbctl::daemon {

class QuicClient {
 public:
  using Clock = std::chrono::steady_clock;
  using Credentials = std::shared_ptr<gnutls_certificate_credentials_st>;
  /// By which certificates are verified; else why there are none.
  static std::expected<Credentials, std::string> authorities(const config::HealthCheck::Tls& tls);

  struct Ends {
    sockaddr_storage local{}, remote{};
    socklen_t size = 0;  ///< of each
  };
  /// `address`: what the certificate must name if the check names nothing. Null: no memory.
  static std::unique_ptr<QuicClient> make(const config::HealthCheck& check,
                                          const std::string& address, Credentials credentials,
                                          const Ends& ends);

  /// To be sent; empty: nothing more for now.
  std::string next_datagram();
  /// It may hold anything.
  void take(std::string_view datagram);
  /// When on_time() wants to be called.
  Clock::time_point expiry() const;
  void on_time();
  /// Both sides have finished TLS' handshake.
  bool shaken_hands() const;
  /// Why it can't go on; empty: it can.
  const std::string& error() const { return error_; }
  /// Tells the server that this is over; empty: it knows, or nothing can tell it.
  std::string farewell();

 private:
  QuicClient(Credentials credentials, const Ends& ends);
  bool prepare_tls(const config::HealthCheck& check, const std::string& address);
  bool prepare_quic();
  ngtcp2_path path();
  void fail(int status);
  std::string tls_trouble() const;

  Credentials credentials_;
  Ends ends_;
  std::string name_, alpn_;
  ngtcp2_crypto_conn_ref reference_{};
  CHandle<gnutls_session_int, &gnutls_deinit> tls_;
  CHandle<ngtcp2_conn, &ngtcp2_conn_del> quic_;  ///< uses all of the above
  std::string error_;
};

}  // namespace lbctl::daemon
