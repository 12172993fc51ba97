#pragma once

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/address.hpp"
#include "common/fd.hpp"
#include "common/free_with.hpp"
#include "common/json.hpp"
#include "h3/tls.hpp"

namespace peer {

/// What every connection of a run does.
struct Journey {
  std::vector<SocketAddress> sources;  ///< taken in turns, one for each move; empty: the kernel's
  std::uint64_t moves = 1;
  std::chrono::milliseconds pause{0};         ///< between an answer and the next move
  std::chrono::milliseconds patience{20000};  ///< for an answer
};

/// A QUIC connection that moves to a new socket again and again, and asks for something after each
/// move. In turns it moves as a client that knows (a new connection ID, the path is validated) and
/// as one behind a NAT that forgot it (the same connection ID, not a word).
class Mover {
 public:
  /// Null when the kernel, TLS or ngtcp2 refuse to begin.
  static std::unique_ptr<Mover> start(const Journey& journey, const TlsCredentials& credentials,
                                      const SocketAddress& remote, unsigned number);
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  int fd() const { return socket_.get(); }
  void on_readable();
  void on_time();
  ngtcp2_tstamp expiry() const;  ///< when on_time() is to be called
  /// No further moves.
  void stop() { stopped_ = true; }

  bool shaken_hands() const { return confirmed_ || finished_; }
  bool finished() const { return finished_; }
  JsonObject report() const;

 private:
  friend struct MoverCallbacks;
  Mover(const Journey& journey, const SocketAddress& remote, unsigned number)
      : journey_(journey), remote_(remote), number_(number) {}

  bool open_socket();
  bool begin(const TlsCredentials& credentials);
  ngtcp2_path path();
  void proceed();
  bool move();
  void ask();
  void read_answer(std::int64_t stream, std::span<const std::uint8_t> data, bool last);
  void write();
  std::optional<std::int64_t> open_stream(bool both_ways);
  void finish(std::string error);

  const Journey& journey_;
  const SocketAddress remote_;
  const unsigned number_;

  Fd socket_;
  SocketAddress local_;
  ngtcp2_crypto_conn_ref reference_{};
  TlsSession tls_;
  std::unique_ptr<ngtcp2_conn, FreeWith<&ngtcp2_conn_del>> quic_;

  /// What is to be sent; ngtcp2 wants it to stay until it is acknowledged.
  struct Outgoing {
    std::int64_t stream;
    bool last;
    std::string data;
    std::size_t sent = 0;
    bool done = false;
  };
  std::deque<Outgoing> outgoing_;
  std::map<std::int64_t, std::string> incoming_;
  std::int64_t asked_ = -1;  ///< the request under way
  ngtcp2_tstamp deadline_ = UINT64_MAX, next_move_ = UINT64_MAX;
  bool confirmed_ = false, stopped_ = false, finished_ = false;

  std::uint64_t migrations_ = 0, rebindings_ = 0, answers_ = 0, strays_ = 0;
  std::string server_, error_;
};

}  // namespace peer
