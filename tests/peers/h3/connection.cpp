#include "h3/connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace peer {

std::span<const std::uint8_t> octets_of(const ngtcp2_cid& cid) {
  return {cid.data, cid.datalen};
}

ngtcp2_path path_of(Datagram& datagram) {
  return {{datagram.local.get(), datagram.local.length},
          {datagram.remote.get(), datagram.remote.length},
          nullptr};
}

std::unique_ptr<Connection> Connection::accept(ConnectionHost& host, const ngtcp2_pkt_hd& initial,
                                               const std::optional<ngtcp2_cid>& retried_dcid,
                                               Datagram& datagram) {
  std::unique_ptr<Connection> connection(new Connection(host));
  if (!connection->begin(initial, retried_dcid, datagram)) return nullptr;
  return connection;
}

Connection::~Connection() {
  for (const auto& cid : cids_)
    host_.remove_cid(cid);
}

bool Connection::begin(const ngtcp2_pkt_hd& initial, const std::optional<ngtcp2_cid>& retried_dcid,
                       Datagram& datagram) {
  const auto& shared = host_.settings();
  reference_ = {[](ngtcp2_crypto_conn_ref* reference) {
                  return static_cast<Connection*>(reference->user_data)->quic_.get();
                },
                this};
  tls_ = host_.tls().new_session(&reference_);
  if (!tls_) return false;

  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now();
  // Path validation may take three times the first guess of a probe timeout, which is thrice this:
  // an emulated machine on a busy host needs it, and every handshake a multiple.
  settings.initial_rtt = slow_path;
  settings.handshake_timeout = 100 * slow_path;
  settings.token = initial.token;
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.initial_max_stream_data_bidi_remote = params.initial_max_stream_data_uni = 256 << 10;
  params.initial_max_data = 1 << 20;
  params.initial_max_streams_bidi = params.initial_max_streams_uni = 100;
  params.max_idle_timeout =
      static_cast<ngtcp2_duration>(shared.idle_timeout.count()) * NGTCP2_MILLISECONDS;
  params.active_connection_id_limit = 7;
  params.original_dcid = retried_dcid.value_or(initial.dcid);
  params.retry_scid_present = retried_dcid.has_value();
  params.retry_scid = initial.dcid;

  const auto scid = host_.new_cid();
  params.stateless_reset_token_present = 1;
  ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token,
                                               host_.reset_secret().data(),
                                               host_.reset_secret().size(), &scid);
  const auto path = path_of(datagram);
  const auto callbacks = make_callbacks();
  ngtcp2_conn* made = nullptr;
  if (ngtcp2_conn_server_new(&made, &initial.scid, &scid, &path, initial.version, &callbacks,
                             &settings, &params, nullptr, this) != 0)
    return false;
  quic_.reset(made);
  ngtcp2_conn_set_tls_native_handle(made, tls_.get());
  http_ = std::make_unique<Http3>(made, shared.name,
                                  [this](std::int64_t stream, const Http3::Request& request) {
                                    host_.log(event("request")
                                                  .add("from", packet_remote_)
                                                  .add("stream", stream)
                                                  .add("method", request.method)
                                                  .add("path", request.path));
                                  });
  ngtcp2_connection_close_error_default(&error_);

  name_ = to_hex(octets_of(scid));
  remote_ = to_string(datagram.remote);
  host_.log(event("new_connection")
                .add("original_dcid", to_hex(octets_of(params.original_dcid)))
                .add("client_scid", to_hex(octets_of(initial.scid)))
                .add("local", to_string(datagram.local))
                .add("version", fmt::format("{:#010x}", initial.version))
                .add("retried", retried_dcid.has_value()));
  add_cid(initial.dcid);
  add_cid(scid);
  return true;
}

void Connection::add_cid(const ngtcp2_cid& cid) {
  const auto octets = octets_of(cid);
  host_.add_cid(*cids_.emplace(octets.begin(), octets.end()).first, *this);
}

void Connection::remove_cid(const ngtcp2_cid& cid) {
  const Octets octets(octets_of(cid).begin(), octets_of(cid).end());
  host_.remove_cid(octets);
  cids_.erase(octets);
}

void Connection::on_datagram(Datagram& datagram) {
  if (state_ == State::closing) {
    // RFC 9000, 10.2.1: say it again, but ever more seldom.
    if (std::has_single_bit(++packets_since_close_)) host_.send(path_of(datagram), close_packet_);
    return;
  }
  if (state_ != State::open) return;
  packet_remote_ = to_string(datagram.remote);
  const auto path = path_of(datagram);
  const ngtcp2_pkt_info info{};
  const int status = ngtcp2_conn_read_pkt(quic_.get(), &path, &info, datagram.data.data(),
                                          datagram.data.size(), now());
  note_path();
  if (status == NGTCP2_ERR_DRAINING) {
    ngtcp2_connection_close_error received;
    ngtcp2_conn_get_connection_close_error(quic_.get(), &received);
    return enter(State::draining, "closed by the client", received.error_code);
  }
  if (status == NGTCP2_ERR_DROP_CONN || status == NGTCP2_ERR_RETRY)
    return finish(ngtcp2_strerror(status));
  if (status != 0) return close_with(status);
  write();
}

void Connection::on_expiry() {
  if (state_ != State::open) {
    if (now() >= deadline_) state_ = State::finished;
    return;
  }
  const int status = ngtcp2_conn_handle_expiry(quic_.get(), now());
  note_path();
  if (status == NGTCP2_ERR_IDLE_CLOSE) return finish("idle timeout");
  if (status == NGTCP2_ERR_HANDSHAKE_TIMEOUT) return finish("handshake timeout");
  if (status != 0) return close_with(status);
  http_->resume_due(now());
  write();
}

ngtcp2_tstamp Connection::expiry() const {
  return state_ == State::open ? std::min(ngtcp2_conn_get_expiry(quic_.get()), http_->next_drop())
                               : deadline_;
}

void Connection::write() {
  std::array<std::uint8_t, 1500> buffer;
  const auto size = std::min(buffer.size(), ngtcp2_conn_get_max_tx_udp_payload_size(quic_.get()));
  const auto quantum = ngtcp2_conn_get_send_quantum(quic_.get());
  std::size_t sent = 0;
  while (state_ == State::open && sent < quantum && write_some(std::span(buffer).first(size), sent))
    continue;
  if (state_ == State::open) ngtcp2_conn_update_pkt_tx_time(quic_.get(), now());
}

bool Connection::write_some(std::span<std::uint8_t> packet, std::size_t& sent) {
  Http3::Output output;
  if (ngtcp2_conn_get_max_data_left(quic_.get()) > 0) output = http_->next_output();
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  ngtcp2_ssize taken = -1;
  const std::uint32_t flags =
      NGTCP2_WRITE_STREAM_FLAG_MORE | (output.last ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
  // ngtcp2_vec and nghttp3_vec are documented to be the same structure.
  const auto written = ngtcp2_conn_writev_stream(
      quic_.get(), &path.path, &info, packet.data(), packet.size(), &taken, flags, output.stream,
      reinterpret_cast<const ngtcp2_vec*>(output.data.data()), output.data.size(), now());
  if (taken >= 0) http_->add_written(output.stream, static_cast<std::size_t>(taken));
  if (written == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
    http_->block(output.stream);
  } else if (written == NGTCP2_ERR_STREAM_SHUT_WR || written == NGTCP2_ERR_STREAM_NOT_FOUND) {
    http_->stop_writing(output.stream);
  } else if (written < 0 && written != NGTCP2_ERR_WRITE_MORE) {
    close_with(static_cast<int>(written));
    return false;
  } else if (written > 0) {
    host_.send(path.path, packet.first(static_cast<std::size_t>(written)));
    sent += static_cast<std::size_t>(written);
  }
  return written != 0;
}

/// ngtcp2 moves to another path by itself; the log must tell.
void Connection::note_path() {
  const auto remote = to_string(ngtcp2_conn_get_path(quic_.get())->remote.addr);
  if (remote == remote_) return;
  const auto old = std::exchange(remote_, remote);
  host_.log(event("path_change").add("old", old).add("new", remote));
}

void Connection::close_with(int error) {
  if (http_failed_) {
    // The HTTP/3 error is in error_ already.
  } else if (error == NGTCP2_ERR_CRYPTO) {
    ngtcp2_connection_close_error_set_transport_error_tls_alert(
        &error_, ngtcp2_conn_get_tls_alert(quic_.get()), nullptr, 0);
  } else {
    ngtcp2_connection_close_error_set_transport_error_liberr(&error_, error, nullptr, 0);
  }
  close_packet_.resize(1200);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const auto written = ngtcp2_conn_write_connection_close(
      quic_.get(), &path.path, &info, close_packet_.data(), close_packet_.size(), &error_, now());
  close_packet_.resize(written > 0 ? static_cast<std::size_t>(written) : 0);
  if (close_packet_.empty()) return finish(ngtcp2_strerror(error));
  host_.send(path.path, close_packet_);
  enter(State::closing, ngtcp2_strerror(error), error_.error_code);
}

void Connection::enter(State state, std::string_view reason, std::uint64_t code) {
  state_ = state;
  deadline_ = now() + 3 * ngtcp2_conn_get_pto(quic_.get());  // RFC 9000, 10.2
  host_.log(event("close").add("reason", reason).add("code", code));
}

void Connection::finish(std::string_view reason) {
  state_ = State::finished;
  host_.log(event("close").add("reason", reason));
}

JsonObject Connection::event(std::string_view kind) const {
  JsonObject object;
  object.add("event", kind).add("server", host_.settings().name).add("scid", name_);
  object.add("remote", remote_);
  return object;
}

}  // namespace peer
