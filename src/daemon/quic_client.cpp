#include "quic_client.hpp"

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <array>

namespace lbctl::daemon {

namespace {

/// What ngtcp2 has names for; RFC 9001, 8.4, forbids TLS' middlebox compatibility.
constexpr const char* priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";
/// The least that RFC 9000, 7.2, allows.
constexpr std::size_t first_cid = 8;
/// From here on transport errors are alerts of TLS: RFC 9000, 20.1.
constexpr std::uint64_t crypto_error = 0x100;

ngtcp2_tstamp now() {
  const auto since = QuicClient::Clock::now().time_since_epoch();
  return static_cast<ngtcp2_tstamp>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

/// GnuTLS' source ends the process rather than fail.
void fill_random(std::uint8_t* octets, std::size_t length) {
  (void)gnutls_rnd(GNUTLS_RND_RANDOM, octets, length);
}

ngtcp2_callbacks callbacks() {
  ngtcp2_callbacks out{};
  out.client_initial = ngtcp2_crypto_client_initial_cb;
  out.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  out.recv_retry = ngtcp2_crypto_recv_retry_cb;
  out.encrypt = ngtcp2_crypto_encrypt_cb;
  out.decrypt = ngtcp2_crypto_decrypt_cb;
  out.hp_mask = ngtcp2_crypto_hp_mask_cb;
  out.update_key = ngtcp2_crypto_update_key_cb;
  out.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  out.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  out.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  out.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  out.rand = [](std::uint8_t* octets, std::size_t length, const ngtcp2_rand_ctx*) {
    fill_random(octets, length);
  };
  // Not called, as the client's connection ID is empty; ngtcp2 asks that it be there.
  out.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid*, std::uint8_t*, std::size_t, void*) {
    return static_cast<int>(NGTCP2_ERR_CALLBACK_FAILURE);
  };
  return out;
}

std::string alert_text(std::uint64_t alert) {
  const char* name = gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(alert));
  return name != nullptr ? name : fmt::format("alert {}", alert);
}

}  // namespace

std::expected<QuicClient::Credentials, std::string> QuicClient::authorities(
    const config::HealthCheck::Tls& tls) {
  gnutls_certificate_credentials_t made = nullptr;
  if (gnutls_certificate_allocate_credentials(&made) != 0) return std::unexpected("TLS: no memory");
  Credentials out(made, &gnutls_certificate_free_credentials);
  if (!tls.verify) return out;
  const int read = tls.ca_file.empty() ? gnutls_certificate_set_x509_system_trust(made)
                                       : gnutls_certificate_set_x509_trust_file(
                                             made, tls.ca_file.c_str(), GNUTLS_X509_FMT_PEM);
  if (read >= 0) return out;
  return std::unexpected(fmt::format("{}: {}", tls.ca_file, gnutls_strerror(read)));
}

QuicClient::QuicClient(Credentials credentials, const Ends& ends)
    : credentials_(std::move(credentials)), ends_(ends) {}

std::unique_ptr<QuicClient> QuicClient::make(const config::HealthCheck& check,
                                             const std::string& address, Credentials credentials,
                                             const Ends& ends) {
  std::unique_ptr<QuicClient> out(new QuicClient(std::move(credentials), ends));
  return out->prepare_tls(check, address) && out->prepare_quic() ? std::move(out) : nullptr;
}

bool QuicClient::prepare_tls(const config::HealthCheck& check, const std::string& address) {
  gnutls_session_t made = nullptr;
  if (gnutls_init(&made, GNUTLS_CLIENT) != 0) return false;
  tls_.reset(made);
  alpn_ = check.quic.alpn;
  const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(alpn_.data()),
                                static_cast<unsigned>(alpn_.size())};
  if (ngtcp2_crypto_gnutls_configure_client_session(made) != 0 ||
      gnutls_priority_set_direct(made, priorities, nullptr) != 0 ||
      gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials_.get()) != 0 ||
      gnutls_alpn_set_protocols(made, &protocol, 1, GNUTLS_ALPN_MANDATORY) != 0)
    return false;
  reference_ = {[](ngtcp2_crypto_conn_ref* reference) {
                  return static_cast<QuicClient*>(reference->user_data)->quic_.get();
                },
                this};
  gnutls_session_set_ptr(made, &reference_);
  const std::string& name = check.tls.name;
  if (!name.empty() && gnutls_server_name_set(made, GNUTLS_NAME_DNS, name.data(), name.size()) != 0)
    return false;
  // GnuTLS keeps the pointer.
  name_ = name.empty() ? address : name;
  if (check.tls.verify) gnutls_session_set_verify_cert(made, name_.c_str(), 0);
  return true;
}

bool QuicClient::prepare_quic() {
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now();
  settings.handshake_timeout = UINT64_MAX;  // the check's is another's
  settings.no_pmtud = 1;
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.initial_max_streams_uni = 3;  // what HTTP/3 servers open at once
  params.initial_max_stream_data_uni = 16 << 10;
  params.initial_max_data = 64 << 10;
  ngtcp2_cid destination{}, source{};
  destination.datalen = first_cid;
  fill_random(destination.data, first_cid);
  // With QUIC-LB a connection ID that begins so names no server: steering leaves it alone.
  destination.data[0] = 0xff;
  const ngtcp2_callbacks calls = callbacks();
  const ngtcp2_path where = path();
  ngtcp2_conn* made = nullptr;
  if (ngtcp2_conn_client_new(&made, &destination, &source, &where, NGTCP2_PROTO_VER_V1, &calls,
                             &settings, &params, nullptr, this) != 0)
    return false;
  quic_.reset(made);
  ngtcp2_conn_set_tls_native_handle(made, tls_.get());
  return true;
}

ngtcp2_path QuicClient::path() {
  return {{reinterpret_cast<sockaddr*>(&ends_.local), ends_.size},
          {reinterpret_cast<sockaddr*>(&ends_.remote), ends_.size},
          nullptr};
}

std::string QuicClient::next_datagram() {
  if (!error_.empty()) return {};
  std::array<std::uint8_t, NGTCP2_MAX_UDP_PAYLOAD_SIZE> buffer{};
  const auto size =
      ngtcp2_conn_write_pkt(quic_.get(), nullptr, nullptr, buffer.data(), buffer.size(), now());
  if (size < 0) fail(static_cast<int>(size));
  return {buffer.begin(), buffer.begin() + std::max<std::ptrdiff_t>(size, 0)};
}

void QuicClient::take(std::string_view datagram) {
  if (!error_.empty()) return;
  const ngtcp2_path where = path();
  const ngtcp2_pkt_info info{};
  const int status = ngtcp2_conn_read_pkt(quic_.get(), &where, &info,
                                          reinterpret_cast<const std::uint8_t*>(datagram.data()),
                                          datagram.size(), now());
  if (status != 0) fail(status);
}

QuicClient::Clock::time_point QuicClient::expiry() const {
  const ngtcp2_tstamp at = ngtcp2_conn_get_expiry(quic_.get());
  if (at == UINT64_MAX) return Clock::time_point::max();
  return Clock::time_point(std::chrono::nanoseconds(at));
}

void QuicClient::on_time() {
  if (!error_.empty() || Clock::now() < expiry()) return;
  if (const int status = ngtcp2_conn_handle_expiry(quic_.get(), now()); status != 0) fail(status);
}

bool QuicClient::shaken_hands() const {
  return ngtcp2_conn_get_handshake_completed(quic_.get()) != 0;
}

void QuicClient::fail(int status) {
  if (status == NGTCP2_ERR_CRYPTO) {
    error_ = tls_trouble();
  } else if (status == NGTCP2_ERR_RECV_VERSION_NEGOTIATION) {
    error_ = "the server does not speak QUIC version 1";
  } else if (status == NGTCP2_ERR_DRAINING) {
    ngtcp2_connection_close_error close{};
    ngtcp2_conn_get_connection_close_error(quic_.get(), &close);
    const bool alert = close.error_code >= crypto_error && close.error_code < crypto_error + 256;
    error_ = fmt::format("the server closed the connection: {}",
                         alert ? alert_text(close.error_code - crypto_error)
                               : fmt::format("error {:#x}", close.error_code));
  } else {
    error_ = fmt::format("handshake: {}", ngtcp2_strerror(status));
  }
}

std::string QuicClient::tls_trouble() const {
  const unsigned verified = gnutls_session_get_verify_cert_status(tls_.get());
  gnutls_datum_t text{};
  // All bits: it did not come to that.
  if (verified != 0 && verified != ~0U &&
      gnutls_certificate_verification_status_print(verified, GNUTLS_CRT_X509, &text, 0) == 0) {
    std::string out(reinterpret_cast<const char*>(text.data), text.size);
    gnutls_free(text.data);
    return "certificate: " + out.substr(0, out.find_last_not_of(" .") + 1);
  }
  return "TLS: " + alert_text(ngtcp2_conn_get_tls_alert(quic_.get()));
}

std::string QuicClient::farewell() {
  std::array<std::uint8_t, NGTCP2_MAX_UDP_PAYLOAD_SIZE> buffer{};
  ngtcp2_connection_close_error close;
  ngtcp2_connection_close_error_default(&close);
  const auto size = ngtcp2_conn_write_connection_close(quic_.get(), nullptr, nullptr, buffer.data(),
                                                       buffer.size(), &close, now());
  return {buffer.begin(), buffer.begin() + std::max<std::ptrdiff_t>(size, 0)};
}

}  // namespace lbctl::daemon
