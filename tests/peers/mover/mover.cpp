#include "mover/mover.hpp"

#include <fmt/format.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "h3/clock.hpp"
#include "mover/http3.hpp"

namespace peer {

/// What ngtcp2 calls while it reads a packet.
struct MoverCallbacks {
  static Mover& self(void* user_data) { return *static_cast<Mover*>(user_data); }

  /// ngtcp2 wants one, and never calls it: we have no connection ID.
  static int new_connection_id(ngtcp2_conn*, ngtcp2_cid*, std::uint8_t*, std::size_t, void*) {
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }

  static int confirmed(ngtcp2_conn*, void* user_data) {
    self(user_data).confirmed_ = true;
    return 0;
  }

  static int stream_data(ngtcp2_conn* quic, std::uint32_t flags, std::int64_t stream, std::uint64_t,
                         const std::uint8_t* data, std::size_t length, void* user_data, void*) {
    ngtcp2_conn_extend_max_stream_offset(quic, stream, length);
    ngtcp2_conn_extend_max_offset(quic, length);
    self(user_data).read_answer(stream, {data, length}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    return 0;
  }

  static ngtcp2_callbacks make() {
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
      fill_random({octets, length});
    };
    out.get_new_connection_id = new_connection_id;
    out.handshake_confirmed = confirmed;
    out.recv_stream_data = stream_data;
    return out;
  }
};

namespace {

ngtcp2_cid random_cid(std::size_t length) {
  ngtcp2_cid out{};
  out.datalen = length;
  fill_random({out.data, length});
  return out;
}

ngtcp2_tstamp in(std::chrono::milliseconds time) {
  return now() + static_cast<ngtcp2_tstamp>(time.count()) * NGTCP2_MILLISECONDS;
}

}  // namespace

std::unique_ptr<Mover> Mover::start(const Journey& journey, const TlsCredentials& credentials,
                                    const SocketAddress& remote, unsigned number) {
  std::unique_ptr<Mover> out(new Mover(journey, remote, number));
  if (!out->open_socket() || !out->begin(credentials)) return nullptr;
  out->deadline_ = in(journey.patience);
  out->write();
  return out;
}

/// A new local port, and the next of the sources.
bool Mover::open_socket() {
  Fd made(::socket(remote_.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const auto& sources = journey_.sources;
  if (!sources.empty()) {
    const auto& source = sources[(migrations_ + rebindings_) % sources.size()];
    if (bind(made.get(), source.get(), source.length) != 0) return false;
  }
  if (connect(made.get(), remote_.get(), remote_.length) != 0) return false;
  local_.length = sizeof local_.storage;
  if (getsockname(made.get(), local_.get(), &local_.length) != 0) return false;
  socket_ = std::move(made);
  return true;
}

bool Mover::begin(const TlsCredentials& credentials) {
  reference_ = {[](ngtcp2_crypto_conn_ref* reference) {
                  return static_cast<Mover*>(reference->user_data)->quic_.get();
                },
                this};
  tls_ = new_client_session(credentials, &reference_);
  if (!tls_) return false;
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now();
  settings.initial_rtt = slow_path;
  settings.handshake_timeout = UINT64_MAX;  // the deadline is ours
  ngtcp2_transport_params params;
  ngtcp2_transport_params_default(&params);
  params.initial_max_streams_uni = 3;
  params.initial_max_stream_data_bidi_local = params.initial_max_stream_data_uni = 64 << 10;
  params.initial_max_data = 1 << 20;
  params.active_connection_id_limit = 8;
  params.max_idle_timeout = 100 * slow_path;
  // Without a connection ID of our own, as Chromium: ngtcp2 0.12's server loses count of the
  // client's when paths change often (CONNECTION_ID_LIMIT).
  const auto dcid = random_cid(18), scid = random_cid(0);
  const auto callbacks = MoverCallbacks::make();
  const auto where = path();
  ngtcp2_conn* made = nullptr;
  if (ngtcp2_conn_client_new(&made, &dcid, &scid, &where, NGTCP2_PROTO_VER_V1, &callbacks,
                             &settings, &params, nullptr, this) != 0)
    return false;
  quic_.reset(made);
  ngtcp2_conn_set_tls_native_handle(made, tls_.get());
  return true;
}

ngtcp2_path Mover::path() {
  return {{local_.get(), local_.length},
          {const_cast<sockaddr*>(remote_.get()), remote_.length},
          nullptr};
}

void Mover::on_readable() {
  std::array<std::uint8_t, 65536> buffer;
  for (;;) {
    const auto got = recv(fd(), buffer.data(), buffer.size(), 0);
    if (got < 0) break;
    const auto where = path();
    const ngtcp2_pkt_info info{};
    const int status = ngtcp2_conn_read_pkt(quic_.get(), &where, &info, buffer.data(),
                                            static_cast<std::size_t>(got), now());
    if (status != 0) return finish(ngtcp2_strerror(status));
  }
  proceed();
}

void Mover::on_time() {
  const auto time = now();
  if (time >= deadline_)
    return finish(!confirmed_ ? "no handshake"
                              : fmt::format("no answer after {} migrations and {} rebindings",
                                            migrations_, rebindings_));
  if (ngtcp2_conn_get_expiry(quic_.get()) <= time)
    if (const int status = ngtcp2_conn_handle_expiry(quic_.get(), time); status != 0)
      return finish(ngtcp2_strerror(status));
  proceed();
}

ngtcp2_tstamp Mover::expiry() const {
  return std::min({ngtcp2_conn_get_expiry(quic_.get()), deadline_, next_move_});
}

/// The first request goes from where the handshake was. Behind each move go two: with the second
/// the server has the answer to its path challenge, so that no move comes before the last is
/// settled.
void Mover::proceed() {
  if (confirmed_ && asked_ < 0) {
    const auto moved = migrations_ + rebindings_;
    if (answers_ == 0) {
      if (const auto control = open_stream(false))
        outgoing_.push_back({*control, false, control_stream()});
      ask();
    } else if (answers_ < 1 + 2 * moved) {
      ask();
    } else if (stopped_ || moved >= journey_.moves) {
      return finish("");
    } else if (now() >= next_move_ && move()) {
      next_move_ = UINT64_MAX;
      ask();
    }
  }
  write();
}

/// False: not now, for want of a connection ID that was not used yet.
bool Mover::move() {
  const SocketAddress before = local_;
  Fd old = std::exchange(socket_, Fd());
  const auto stay = [&] {
    socket_ = std::move(old);
    local_ = before;
    // The server's new connection IDs bring us back here; this only ends a standstill.
    next_move_ = in(std::chrono::milliseconds(50));
    return false;
  };
  if (!open_socket()) return stay();
  if ((migrations_ + rebindings_ + number_) % 2 != 0) {
    const ngtcp2_addr here{local_.get(), local_.length};
    ngtcp2_conn_set_local_addr(quic_.get(), &here);
    ++rebindings_;
    return true;
  }
  const auto where = path();
  if (ngtcp2_conn_initiate_immediate_migration(quic_.get(), &where, now()) != 0) return stay();
  ++migrations_;
  return true;
}

void Mover::ask() {
  const auto stream = open_stream(true);
  if (!stream) return;
  asked_ = *stream;
  deadline_ = in(journey_.patience);
  outgoing_.push_back({*stream, true, get_request(fmt::format("/{}/{}", number_, answers_))});
}

std::optional<std::int64_t> Mover::open_stream(bool both_ways) {
  std::int64_t out = -1;
  const int status = both_ways ? ngtcp2_conn_open_bidi_stream(quic_.get(), &out, nullptr)
                               : ngtcp2_conn_open_uni_stream(quic_.get(), &out, nullptr);
  return status == 0 ? std::optional(out) : std::nullopt;
}

/// "NAME PATH": who answered what.
void Mover::read_answer(std::int64_t stream, std::span<const std::uint8_t> data, bool last) {
  if (stream != asked_) return;
  auto& text = incoming_[stream];
  text.append(data.begin(), data.end());
  if (!last) return;
  const auto body = body_of(text);
  const auto server = body ? body->substr(0, body->find(' ')) : std::string();
  incoming_.erase(stream);
  asked_ = -1;
  ++answers_;
  if (server_.empty()) server_ = server;
  if (server.empty() || server != server_) ++strays_;
  deadline_ = UINT64_MAX;
  next_move_ = in(journey_.pause);
}

void Mover::write() {
  while (!finished_) {
    std::array<std::uint8_t, 1452> packet;
    const auto next = std::ranges::find(outgoing_, false, &Outgoing::done);
    ngtcp2_vec data{};
    if (next != outgoing_.end())
      data = {reinterpret_cast<std::uint8_t*>(next->data.data()) + next->sent,
              next->data.size() - next->sent};
    ngtcp2_path_storage where;
    ngtcp2_path_storage_zero(&where);
    ngtcp2_ssize taken = -1;
    const auto flags =
        next != outgoing_.end() && next->last ? NGTCP2_WRITE_STREAM_FLAG_FIN : std::uint32_t{0};
    const auto written = ngtcp2_conn_writev_stream(
        quic_.get(), &where.path, nullptr, packet.data(), packet.size(), &taken, flags,
        next != outgoing_.end() ? next->stream : -1, &data, 1, now());
    if (taken >= 0) {
      next->sent += static_cast<std::size_t>(taken);
      next->done = next->sent == next->data.size();
    }
    if (written < 0) return finish(ngtcp2_strerror(static_cast<int>(written)));
    if (written == 0) break;
    // What the kernel refuses is a lost packet.
    (void)::send(fd(), packet.data(), static_cast<std::size_t>(written), 0);
  }
  if (!finished_) ngtcp2_conn_update_pkt_tx_time(quic_.get(), now());
}

void Mover::finish(std::string error) {
  if (finished_) return;
  finished_ = true;
  error_ = std::move(error);
  ngtcp2_connection_close_error reason;
  ngtcp2_connection_close_error_default(&reason);
  std::array<std::uint8_t, 1452> packet;
  ngtcp2_path_storage where;
  ngtcp2_path_storage_zero(&where);
  const auto written = ngtcp2_conn_write_connection_close(
      quic_.get(), &where.path, nullptr, packet.data(), packet.size(), &reason, now());
  if (written > 0) (void)::send(fd(), packet.data(), static_cast<std::size_t>(written), 0);
}

JsonObject Mover::report() const {
  JsonObject out;
  out.add("number", number_).add("target", to_string(remote_)).add("server", server_);
  out.add("answers", answers_).add("migrations", migrations_).add("rebindings", rebindings_);
  out.add("strays", strays_).add("error", error_);
  return out;
}

}  // namespace peer
