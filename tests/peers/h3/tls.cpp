#include "h3/tls.hpp"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <cstdlib>

namespace peer {
namespace {

// The ciphers and groups that ngtcp2 knows. RFC 9001, 8.4, forbids TLS' middlebox compatibility.
constexpr auto priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "+AES-128-CCM:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
    "%DISABLE_TLS13_COMPAT_MODE";

TlsSession make_session(unsigned role, const TlsCredentials& credentials,
                        ngtcp2_crypto_conn_ref* connection) {
  gnutls_session_t made = nullptr;
  if (gnutls_init(&made, role) != 0) return nullptr;
  TlsSession session(made);
  unsigned char h3[] = {'h', '3'};
  const gnutls_datum_t protocol{h3, sizeof h3};
  if (gnutls_priority_set_direct(made, priorities, nullptr) != 0 ||
      gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials.get()) != 0 ||
      gnutls_alpn_set_protocols(made, &protocol, 1, GNUTLS_ALPN_MANDATORY) != 0)
    return nullptr;
  gnutls_session_set_ptr(made, connection);
  return session;
}

}  // namespace

std::expected<Tls, std::string> Tls::load(const std::string& key_pem,
                                          const std::string& certificate_pem) {
  gnutls_certificate_credentials_t made = nullptr;
  if (gnutls_certificate_allocate_credentials(&made) != 0)
    return std::unexpected("no memory for the TLS credentials");
  TlsCredentials credentials(made);
  const int status = gnutls_certificate_set_x509_key_file(
      credentials.get(), certificate_pem.c_str(), key_pem.c_str(), GNUTLS_X509_FMT_PEM);
  if (status < 0)
    return std::unexpected(
        fmt::format("{}, {}: {}", certificate_pem, key_pem, gnutls_strerror(status)));
  return Tls(std::move(credentials));
}

TlsSession Tls::new_session(ngtcp2_crypto_conn_ref* connection) const {
  auto session = make_session(GNUTLS_SERVER, credentials_, connection);
  if (session && ngtcp2_crypto_gnutls_configure_server_session(session.get()) != 0) return nullptr;
  return session;
}

TlsSession new_client_session(const TlsCredentials& credentials,
                              ngtcp2_crypto_conn_ref* connection) {
  auto session = make_session(GNUTLS_CLIENT, credentials, connection);
  if (session && ngtcp2_crypto_gnutls_configure_client_session(session.get()) != 0) return nullptr;
  return session;
}

void fill_random(std::span<std::uint8_t> octets) {
  if (gnutls_rnd(GNUTLS_RND_RANDOM, octets.data(), octets.size()) != 0) std::abort();
}

}  // namespace peer
