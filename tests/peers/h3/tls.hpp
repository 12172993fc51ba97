#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "common/free_with.hpp"

namespace peer {

using TlsCredentials = std::unique_ptr<gnutls_certificate_credentials_st,
                                       FreeWith<&gnutls_certificate_free_credentials>>;
using TlsSession = std::unique_ptr<gnutls_session_int, FreeWith<&gnutls_deinit>>;

/// The server's certificate and the settings that QUIC and HTTP/3 demand (TLS 1.3, ALPN "h3").
class Tls {
 public:
  static std::expected<Tls, std::string> load(const std::string& key_pem,
                                              const std::string& certificate_pem);
  /// A session for one connection; `connection` must live as long as it. Null when out of memory.
  TlsSession new_session(ngtcp2_crypto_conn_ref* connection) const;

 private:
  explicit Tls(TlsCredentials credentials) : credentials_(std::move(credentials)) {}
  TlsCredentials credentials_;
};

/// A client's session, which takes any certificate; likewise null when out of memory.
TlsSession new_client_session(const TlsCredentials& credentials,
                              ngtcp2_crypto_conn_ref* connection);

/// Fills the span from GnuTLS' random source, good enough for nonces and tokens.
void fill_random(std::span<std::uint8_t> octets);

}  // namespace peer
