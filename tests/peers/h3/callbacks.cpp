#include "h3/connection.hpp"

namespace peer {

/// What ngtcp2 calls while it reads or writes a packet. 0 or NGTCP2_ERR_CALLBACK_FAILURE, after
/// which the connection closes.
struct Callbacks {
  static Connection& self(void* user_data) { return *static_cast<Connection*>(user_data); }

  /// Turns an nghttp3 error into the error that the connection will close with.
  static int http_status(Connection& connection, int status) {
    if (status == 0) return 0;
    ngtcp2_connection_close_error_set_application_error(
        &connection.error_, nghttp3_err_infer_quic_app_error_code(status), nullptr, 0);
    connection.http_failed_ = true;
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static void random(std::uint8_t* destination, std::size_t length, const ngtcp2_rand_ctx*) {
    fill_random({destination, length});
  }

  /// Every connection ID that a client ever gets names this server.
  static int get_new_connection_id(ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token, std::size_t,
                                   void* user_data) {
    auto& connection = self(user_data);
    auto& host = connection.host_;
    *cid = host.new_cid();
    const auto secret = host.reset_secret();
    if (ngtcp2_crypto_generate_stateless_reset_token(token, secret.data(), secret.size(), cid) != 0)
      return NGTCP2_ERR_CALLBACK_FAILURE;
    connection.add_cid(*cid);
    host.log(connection.event("cid").add("cid", to_hex(octets_of(*cid))));
    return 0;
  }

  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* cid, void* user_data) {
    self(user_data).remove_cid(*cid);
    return 0;
  }

  static int handshake_completed(ngtcp2_conn*, void* user_data) {
    auto& connection = self(user_data);
    connection.host_.log(connection.event("handshake"));
    return 0;
  }

  /// As soon as the server may send application data, HTTP/3 begins with its control streams.
  static int recv_tx_key(ngtcp2_conn*, ngtcp2_crypto_level level, void* user_data) {
    if (level != NGTCP2_CRYPTO_LEVEL_APPLICATION) return 0;
    return self(user_data).http_->start() ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static int recv_stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t,
                              const std::uint8_t* data, std::size_t length, void* user_data,
                              void*) {
    auto& connection = self(user_data);
    const bool last = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    return http_status(connection, connection.http_->read_stream(stream, {data, length}, last));
  }

  static int acked_stream_data(ngtcp2_conn*, std::int64_t stream, std::uint64_t,
                               std::uint64_t length, void* user_data, void*) {
    auto& connection = self(user_data);
    return http_status(connection, connection.http_->add_acknowledged(stream, length));
  }

  static int stream_close(ngtcp2_conn* quic, std::uint32_t flags, std::int64_t stream,
                          std::uint64_t error, void* user_data, void*) {
    auto& connection = self(user_data);
    if ((flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) == 0) error = NGHTTP3_H3_NO_ERROR;
    if (ngtcp2_is_bidi_stream(stream)) ngtcp2_conn_extend_max_streams_bidi(quic, 1);
    return http_status(connection, connection.http_->close_stream(stream, error));
  }

  static int stream_reset(ngtcp2_conn*, std::int64_t stream, std::uint64_t, std::uint64_t,
                          void* user_data, void*) {
    auto& connection = self(user_data);
    return http_status(connection, connection.http_->stop_reading(stream));
  }

  static int stream_stop_sending(ngtcp2_conn*, std::int64_t stream, std::uint64_t, void* user_data,
                                 void*) {
    auto& connection = self(user_data);
    return http_status(connection, connection.http_->stop_reading(stream));
  }

  static int extend_max_stream_data(ngtcp2_conn*, std::int64_t stream, std::uint64_t,
                                    void* user_data, void*) {
    auto& connection = self(user_data);
    return http_status(connection, connection.http_->unblock(stream));
  }

  static int path_validation(ngtcp2_conn*, std::uint32_t, const ngtcp2_path* path,
                             ngtcp2_path_validation_result result, void* user_data) {
    auto& connection = self(user_data);
    connection.host_.log(connection.event("path_validation")
                             .add("path", to_string(path->remote.addr))
                             .add("good", result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS));
    return 0;
  }
};

ngtcp2_callbacks make_callbacks() {
  ngtcp2_callbacks callbacks{};
  callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
  callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
  callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
  callbacks.update_key = ngtcp2_crypto_update_key_cb;
  callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  callbacks.rand = Callbacks::random;
  callbacks.get_new_connection_id = Callbacks::get_new_connection_id;
  callbacks.remove_connection_id = Callbacks::remove_connection_id;
  callbacks.handshake_completed = Callbacks::handshake_completed;
  callbacks.recv_tx_key = Callbacks::recv_tx_key;
  callbacks.recv_stream_data = Callbacks::recv_stream_data;
  callbacks.acked_stream_data_offset = Callbacks::acked_stream_data;
  callbacks.stream_close = Callbacks::stream_close;
  callbacks.stream_reset = Callbacks::stream_reset;
  callbacks.stream_stop_sending = Callbacks::stream_stop_sending;
  callbacks.extend_max_stream_data = Callbacks::extend_max_stream_data;
  callbacks.path_validation = Callbacks::path_validation;
  return callbacks;
}

}  // namespace peer
