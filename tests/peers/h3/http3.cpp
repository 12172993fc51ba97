#include "h3/http3.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "h3/connection.hpp"

namespace peer {
namespace {

Http3* as_self(void* pointer) {
  return static_cast<Http3*>(pointer);
}

nghttp3_nv header(std::string_view name, std::string_view value) {
  const auto octets = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
  };
  return {octets(name), octets(value), name.size(), value.size(), NGHTTP3_NV_FLAG_NONE};
}

}  // namespace

Http3::Http3(ngtcp2_conn* quic, std::string name, OnRequest on_request)
    : quic_(quic), name_(std::move(name)), on_request_(std::move(on_request)) {}

nghttp3_callbacks Http3::make_callbacks() {
  nghttp3_callbacks callbacks{};
  callbacks.recv_header = on_header;
  callbacks.end_stream = on_end_stream;
  callbacks.recv_data = [](nghttp3_conn*, std::int64_t stream, const std::uint8_t*,
                           std::size_t length, void* self, void*) {
    as_self(self)->consume(stream, length);
    return 0;
  };
  callbacks.deferred_consume = [](nghttp3_conn*, std::int64_t stream, std::size_t length,
                                  void* self, void*) {
    as_self(self)->consume(stream, length);
    return 0;
  };
  callbacks.stop_sending = [](nghttp3_conn*, std::int64_t stream, std::uint64_t error, void* self,
                              void*) {
    ngtcp2_conn_shutdown_stream_read(as_self(self)->quic_, stream, error);
    return 0;
  };
  callbacks.reset_stream = [](nghttp3_conn*, std::int64_t stream, std::uint64_t error, void* self,
                              void*) {
    ngtcp2_conn_shutdown_stream_write(as_self(self)->quic_, stream, error);
    return 0;
  };
  return callbacks;
}

bool Http3::start() {
  if (ngtcp2_conn_get_max_local_streams_uni(quic_) < 3) return false;
  const auto callbacks = make_callbacks();
  nghttp3_settings settings;
  nghttp3_settings_default(&settings);
  nghttp3_conn* made = nullptr;
  if (nghttp3_conn_server_new(&made, &callbacks, &settings, nghttp3_mem_default(), this) != 0)
    return false;
  http_.reset(made);
  std::array<std::int64_t, 3> streams{};  // control, QPACK encoder, QPACK decoder
  for (auto& stream : streams)
    if (ngtcp2_conn_open_uni_stream(quic_, &stream, nullptr) != 0) return false;
  return nghttp3_conn_bind_control_stream(made, streams[0]) == 0 &&
         nghttp3_conn_bind_qpack_streams(made, streams[1], streams[2]) == 0;
}

void Http3::consume(std::int64_t stream, std::size_t octets) {
  ngtcp2_conn_extend_max_stream_offset(quic_, stream, octets);
  ngtcp2_conn_extend_max_offset(quic_, octets);
}

int Http3::read_stream(std::int64_t stream, std::span<const std::uint8_t> data, bool last) {
  const auto used = nghttp3_conn_read_stream(http_.get(), stream, data.data(), data.size(), last);
  if (used < 0) return static_cast<int>(used);
  consume(stream, static_cast<std::size_t>(used));
  return 0;
}

int Http3::add_acknowledged(std::int64_t stream, std::uint64_t octets) {
  return http_ ? nghttp3_conn_add_ack_offset(http_.get(), stream, octets) : 0;
}

int Http3::unblock(std::int64_t stream) {
  return http_ ? nghttp3_conn_unblock_stream(http_.get(), stream) : 0;
}

int Http3::stop_reading(std::int64_t stream) {
  return http_ ? nghttp3_conn_shutdown_stream_read(http_.get(), stream) : 0;
}

int Http3::close_stream(std::int64_t stream, std::uint64_t error) {
  const int status = http_ ? nghttp3_conn_close_stream(http_.get(), stream, error) : 0;
  requests_.erase(stream);
  return status == NGHTTP3_ERR_STREAM_NOT_FOUND ? 0 : status;
}

Http3::Output Http3::next_output() {
  Output output;
  if (!http_) return output;
  output.data.resize(16);
  int last = 0;
  const auto count = nghttp3_conn_writev_stream(http_.get(), &output.stream, &last,
                                                output.data.data(), output.data.size());
  output.data.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  output.last = last != 0;
  if (count < 0) output.stream = -1;
  return output;
}

void Http3::add_written(std::int64_t stream, std::size_t octets) {
  nghttp3_conn_add_write_offset(http_.get(), stream, octets);
}

void Http3::block(std::int64_t stream) {
  nghttp3_conn_block_stream(http_.get(), stream);
}

void Http3::stop_writing(std::int64_t stream) {
  nghttp3_conn_shutdown_stream_write(http_.get(), stream);
}

int Http3::on_header(nghttp3_conn*, std::int64_t stream, std::int32_t token, nghttp3_rcbuf*,
                     nghttp3_rcbuf* value, std::uint8_t, void* self, void*) {
  const auto text = nghttp3_rcbuf_get_buf(value);
  auto& request = as_self(self)->requests_[stream];
  if (token == NGHTTP3_QPACK_TOKEN__METHOD)
    request.method.assign(text.base, text.base + text.len);
  else if (token == NGHTTP3_QPACK_TOKEN__PATH)
    request.path.assign(text.base, text.base + text.len);
  return 0;
}

int Http3::on_end_stream(nghttp3_conn*, std::int64_t stream, void* self, void*) {
  return as_self(self)->answer(stream) == 0 ? 0 : NGHTTP3_ERR_CALLBACK_FAILURE;
}

int Http3::answer(std::int64_t stream) {
  auto& request = requests_[stream];
  const bool is_get = request.method == "GET";
  request.answer = is_get ? fmt::format("{} {}\n", name_, request.path) : "only GET\n";
  const auto server = fmt::format("lbctl-h3 {}", name_);
  const auto length = std::to_string(request.answer.size());
  const std::array headers = {header(":status", is_get ? "200" : "405"), header("server", server),
                              header("content-type", "text/plain"),
                              header("content-length", length)};
  const nghttp3_data_reader body{read_answer};
  on_request_(stream, request);
  const bool drips = is_get && request.path.starts_with("/drip/");
  if (drips) request.next_drop = now();
  // How long a dripping answer will be is not known: it goes without the last header.
  return nghttp3_conn_submit_response(http_.get(), stream, headers.data(),
                                      headers.size() - (drips ? 1 : 0), &body);
}

nghttp3_ssize Http3::read_answer(nghttp3_conn*, std::int64_t stream, nghttp3_vec* data, std::size_t,
                                 std::uint32_t* flags, void* self, void*) {
  auto& request = as_self(self)->requests_[stream];
  const bool drips = request.next_drop && as_self(self)->dripping_;
  if (request.next_drop) {
    if (*request.next_drop > now()) return NGHTTP3_ERR_WOULDBLOCK;
    *request.next_drop += NGTCP2_SECONDS;
  }
  data->base = reinterpret_cast<std::uint8_t*>(request.answer.data());
  data->len = request.answer.size();
  if (!drips) *flags |= NGHTTP3_DATA_FLAG_EOF;
  return 1;
}

ngtcp2_tstamp Http3::next_drop() const {
  ngtcp2_tstamp out = UINT64_MAX;
  for (const auto& [stream, request] : requests_)
    if (request.next_drop) out = std::min(out, *request.next_drop);
  return out;
}

void Http3::resume_due(ngtcp2_tstamp time) {
  for (const auto& [stream, request] : requests_)
    if (request.next_drop && *request.next_drop <= time)
      nghttp3_conn_resume_stream(http_.get(), stream);
}

}  // namespace peer
