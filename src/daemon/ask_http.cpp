// http and https.
#include <fmt/format.h>
#include <regex.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <sstream>

#include "asking.hpp"

namespace lbctl::daemon {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using config::HealthCheck;

namespace {

constexpr std::size_t most_body = 256 * 1024;

using TlsStream = beast::ssl_stream<Stream>;

std::string host_of(const ProbeSpec& spec) {
  if (!spec.check.http.host.empty()) return spec.check.http.host;
  return spec.address.is_v4() ? spec.address.text() : "[" + spec.address.text() + "]";
}

http::request<http::empty_body> request_of(const ProbeSpec& spec) {
  http::request<http::empty_body> out;
  out.version(11);
  out.method_string(spec.check.http.method);
  out.target(spec.check.http.path);
  out.set(http::field::host, host_of(spec));
  out.set(http::field::user_agent, "lbctl");
  out.set(http::field::connection, "close");
  return out;
}

bool matches(const std::string& pattern, const std::string& text) {
  regex_t compiled;
  // Compiled when the file was read, too.
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return false;
  const bool out = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return out;
}

/// What is wrong with the answer's head; empty: nothing.
std::string wrong_head(const HealthCheck::Http& wanted, const http::response_header<>& head) {
  if (head.result_int() != wanted.status) return fmt::format("status {}", head.result_int());
  if (wanted.header.empty()) return "";
  const auto [begin, end] = head.equal_range(wanted.header);
  if (begin == end) return fmt::format("the answer has no {}", wanted.header);
  const bool found = std::any_of(
      begin, end, [&](const auto& field) { return matches(wanted.pattern, field.value()); });
  return found ? "" : fmt::format("{} does not match", wanted.header);
}

template <class Any>
awaitable<Verdict> exchange(Any& stream, const ProbeSpec& spec) {
  const HealthCheck::Http& wanted = spec.check.http;
  const auto request = request_of(spec);
  const auto [sent, n] = co_await http::async_write(stream, request, as_value);
  if (sent) co_return failed(sent, "request");
  beast::flat_buffer buffer(most_body + 16384);
  http::response_parser<http::string_body> parser;
  parser.body_limit(most_body);
  const auto [head, m] = co_await http::async_read_header(stream, buffer, parser, as_value);
  if (head) co_return failed(head, "answer");
  if (auto why = wrong_head(wanted, parser.get().base()); !why.empty())
    co_return wrong(std::move(why));
  if (wanted.body.empty()) co_return right();
  const auto [rest, k] = co_await http::async_read(stream, buffer, parser, as_value);
  // What there is may be enough: of a long answer only the beginning is looked at.
  const bool found = parser.get().body().find(wanted.body) != std::string::npos;
  if (found) co_return right();
  if (rest && rest != http::error::body_limit) co_return failed(rest, "answer");
  co_return wrong("the answer does not have the text");
}

/// Whether OpenSSL refused the peer or something else went wrong.
Verdict tls_failed(TlsStream& stream, const error_code& error) {
  if (error == beast::error::timeout) return failed(error, "TLS");
  const long verified = SSL_get_verify_result(stream.native_handle());
  if (verified != X509_V_OK)
    return wrong(fmt::format("certificate: {}", X509_verify_cert_error_string(verified)));
  return failed(error, "TLS");
}

/// Made anew with each daemon file, not with each question: authorities are many.
std::shared_ptr<ssl::context> make_context(const HealthCheck::Tls& tls, std::string& why) {
  auto out = std::make_shared<ssl::context>(ssl::context::tls_client);
  error_code error;
  SSL_CTX_set_min_proto_version(out->native_handle(),
                                tls.only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  if (!tls.verify) {
    out->set_verify_mode(ssl::verify_none, error);
  } else {
    out->set_verify_mode(ssl::verify_peer, error);
    if (tls.ca_file.empty())
      out->set_default_verify_paths(error);
    else
      out->load_verify_file(tls.ca_file, error);
  }
  if (error) why = fmt::format("{}: {}", tls.ca_file, error.message());
  return out;
}

}  // namespace

std::string http_request(const ProbeSpec& spec) {
  std::ostringstream out;
  out << request_of(spec);
  return std::move(out).str();
}

awaitable<Verdict> ask_http(const ProbeSpec& spec) {
  Stream stream(co_await asio::this_coro::executor);
  if (auto trouble = co_await connect(stream, spec)) co_return *trouble;
  Verdict out = co_await exchange(stream, spec);
  hang_up(stream);
  co_return out;
}

awaitable<Verdict> ask_https(const ProbeSpec& spec, Memory& memory) {
  if (std::string why; !memory.tls) {
    memory.tls = make_context(spec.check.tls, why);
    if (!why.empty()) {
      memory.tls.reset();  // the file may come
      co_return unknown(std::move(why));
    }
  }
  TlsStream stream(co_await asio::this_coro::executor, *memory.tls);
  if (auto trouble = co_await connect(beast::get_lowest_layer(stream), spec)) co_return *trouble;
  const HealthCheck& check = spec.check;
  const std::string& name = !check.tls.name.empty() ? check.tls.name : check.http.host;
  if (!name.empty()) SSL_set_tlsext_host_name(stream.native_handle(), name.c_str());
  if (check.tls.verify)
    stream.set_verify_callback(
        ssl::host_name_verification(name.empty() ? spec.address.text() : name));
  const auto [error] = co_await stream.async_handshake(ssl::stream_base::client, as_value);
  if (error) co_return tls_failed(stream, error);
  Verdict out = co_await exchange(stream, spec);
  hang_up(beast::get_lowest_layer(stream));
  co_return out;
}

}  // namespace lbctl::daemon
