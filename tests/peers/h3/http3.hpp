#pragma once

#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "h3/tls.hpp"

namespace peer {

/// The HTTP/3 half of one connection: requests in, answers out. Every GET is answered with
/// "NAME PATH" and a newline; below /drip/ with such a line every second until `stop_dripping`.
/// Functions that return int give 0 or an nghttp3 error.
class Http3 {
 public:
  struct Request {
    std::string method;
    std::string path;
    std::string answer;  // kept until the stream closes: QUIC may have to send it again
    std::optional<ngtcp2_tstamp> next_drop;  // nothing: the answer is sent once, and ends
  };
  using OnRequest = std::function<void(std::int64_t stream, const Request&)>;

  Http3(ngtcp2_conn* quic, std::string name, OnRequest on_request);
  Http3(const Http3&) = delete;
  Http3& operator=(const Http3&) = delete;

  /// Opens the control and QPACK streams; false when the client allows too few streams.
  bool start();
  int read_stream(std::int64_t stream, std::span<const std::uint8_t> data, bool last);
  int add_acknowledged(std::int64_t stream, std::uint64_t octets);
  int unblock(std::int64_t stream);
  int stop_reading(std::int64_t stream);
  int close_stream(std::int64_t stream, std::uint64_t error);

  /// What is to be sent next.
  struct Output {
    std::int64_t stream = -1;  // -1: nothing
    bool last = false;
    std::vector<nghttp3_vec> data;
  };
  Output next_output();
  void add_written(std::int64_t stream, std::size_t octets);
  void block(std::int64_t stream);
  void stop_writing(std::int64_t stream);

  /// When the next line of a dripping answer is to be sent; the greatest time if there is none.
  ngtcp2_tstamp next_drop() const;
  void resume_due(ngtcp2_tstamp time);
  /// Every dripping answer ends with its next line.
  void stop_dripping() { dripping_ = false; }

 private:
  static nghttp3_callbacks make_callbacks();
  static int on_header(nghttp3_conn*, std::int64_t stream, std::int32_t token, nghttp3_rcbuf* name,
                       nghttp3_rcbuf* value, std::uint8_t flags, void* self, void*);
  static int on_end_stream(nghttp3_conn*, std::int64_t stream, void* self, void*);
  static nghttp3_ssize read_answer(nghttp3_conn*, std::int64_t stream, nghttp3_vec* data,
                                   std::size_t room, std::uint32_t* flags, void* self, void*);
  int answer(std::int64_t stream);
  void consume(std::int64_t stream, std::size_t octets);

  ngtcp2_conn* quic_;
  std::string name_;
  OnRequest on_request_;
  std::unique_ptr<nghttp3_conn, FreeWith<&nghttp3_conn_del>> http_;
  std::map<std::int64_t, Request> requests_;
  bool dripping_ = true;
};

}  // namespace peer
