// tcp, mptcp, http and https. Failures that are this node's own (no descriptors, no MPTCP, a CA
// file that can't be read) are not held against the server.
#include "prober.hpp"

#include <fmt/format.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>

namespace lbctl::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::awaitable;
using boost::system::error_code;
using config::CheckType;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t most_body = 256 * 1024;
/// SOL_MPTCP; Debian 12's libc has no name for it.
constexpr int level_mptcp = 284;

using Stream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<Stream>;

Verdict wrong(std::string why) {
  return {Answer::wrong, std::move(why), {}};
}
Verdict unknown(std::string why) {
  return {Answer::unknown, std::move(why), {}};
}

/// Of the step under way.
Verdict failed(const error_code& error, std::string_view step) {
  if (error == beast::error::timeout) return wrong(fmt::format("{}: no answer in time", step));
  for (const auto own :
       {boost::system::errc::too_many_files_open,
        boost::system::errc::too_many_files_open_in_system, boost::system::errc::not_enough_memory,
        boost::system::errc::no_buffer_space})
    if (error == own) return unknown(fmt::format("{}: {}", step, error.message()));
  return wrong(fmt::format("{}: {}", step, error.message()));
}

asio::ip::tcp::endpoint endpoint_of(const ProbeSpec& spec) {
  const model::IpAddress& to = spec.through ? spec.through->vip : spec.address;
  return {asio::ip::make_address(to.text()), number(spec.port)};
}

/// Opened here, so that what is wrong with this node is told from what is wrong with the server.
std::optional<Verdict> open(Stream& stream, const ProbeSpec& spec) {
  const int family = spec.address.is_v4() ? AF_INET : AF_INET6;
  const bool mptcp = spec.check.type == CheckType::mptcp;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                          mptcp ? IPPROTO_MPTCP : IPPROTO_TCP);
  if (fd < 0)
    return unknown(fmt::format("this node opens no {} socket: {}", mptcp ? "MPTCP" : "TCP",
                               error_code(errno, boost::system::system_category()).message()));
  stream.socket().assign(endpoint_of(spec).protocol(), fd);
  if (!spec.through) return std::nullopt;
  // The VIP is an address of this node: without a source of its own it would be the source, too.
  const std::uint32_t mark = spec.through->mark;
  error_code error;
  if (::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
    error.assign(errno, boost::system::system_category());
  if (!error) stream.socket().bind({asio::ip::make_address(spec.through->source.text()), 0}, error);
  if (error)
    return unknown(fmt::format("this node can't ask through the VIP: {}", error.message()));
  return std::nullopt;
}

awaitable<std::optional<Verdict>> connect(Stream& stream, const ProbeSpec& spec) {
  if (auto trouble = open(stream, spec)) co_return trouble;
  stream.expires_after(std::chrono::seconds(spec.check.timeout));
  const auto [error] = co_await stream.async_connect(endpoint_of(spec), as_value);
  if (error) co_return failed(error, "connect");
  co_return std::nullopt;
}

/// Closed with RST: a check leaves no TIME_WAIT behind, here or at the server.
void hang_up(Stream& stream) {
  error_code ignored;
  stream.socket().set_option(asio::socket_base::linger(true, 0), ignored);
  stream.close();
}

/// A socket that fell back to TCP either says so or knows nothing of MPTCP any more.
Verdict mptcp_spoken(Stream& stream) {
  mptcp_info info{};
  socklen_t size = sizeof info;
  const int got =
      ::getsockopt(stream.socket().native_handle(), level_mptcp, MPTCP_INFO, &info, &size);
  if (got != 0 || (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) != 0)
    return wrong("the server speaks TCP without MPTCP");
  return {Answer::right, "", {}};
}

std::string host_of(const ProbeSpec& spec) {
  if (!spec.check.host.empty()) return spec.check.host;
  return spec.address.is_v4() ? spec.address.text() : "[" + spec.address.text() + "]";
}

http::request<http::empty_body> request_of(const ProbeSpec& spec) {
  http::request<http::empty_body> out{http::verb::get, spec.check.path, 11};
  out.set(http::field::host, host_of(spec));
  out.set(http::field::user_agent, "lbctl");
  out.set(http::field::connection, "close");
  return out;
}

template <class Any>
awaitable<Verdict> ask_http(Any& stream, const ProbeSpec& spec) {
  const auto request = request_of(spec);
  const auto [sent, n] = co_await http::async_write(stream, request, as_value);
  if (sent) co_return failed(sent, "request");
  beast::flat_buffer buffer(most_body + 16384);
  http::response_parser<http::string_body> parser;
  parser.body_limit(most_body);
  const auto [head, m] = co_await http::async_read_header(stream, buffer, parser, as_value);
  if (head) co_return failed(head, "answer");
  const unsigned status = parser.get().result_int();
  if (status != spec.check.status) co_return wrong(fmt::format("status {}", status));
  if (spec.check.body.empty()) co_return Verdict{Answer::right, "", {}};
  const auto [rest, k] = co_await http::async_read(stream, buffer, parser, as_value);
  // What there is may be enough: of a long answer only the beginning is looked at.
  const bool found = parser.get().body().find(spec.check.body) != std::string::npos;
  if (found) co_return Verdict{Answer::right, "", {}};
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
std::shared_ptr<ssl::context> make_context(const config::HealthCheck::Tls& tls, std::string& why) {
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

class Asking : public Probe {
 public:
  Asking(asio::io_context& io, ProbeSpec spec, std::chrono::milliseconds first, Judged judged)
      : state_(std::make_shared<State>(io, std::move(spec), std::move(judged))) {
    asio::co_spawn(io, run(state_, first), asio::detached);
  }
  ~Asking() override {
    state_->over = true;
    state_->timer.cancel();
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

 private:
  /// The coroutine may outlive the probe by the rest of one question.
  struct State {
    State(asio::io_context& io, ProbeSpec s, Judged j)
        : timer(io), spec(std::move(s)), judged(std::move(j)) {}
    asio::steady_timer timer;
    ProbeSpec spec;
    Judged judged;
    std::shared_ptr<ssl::context> tls;
    bool over = false;
  };
  using Shared = std::shared_ptr<State>;

  static awaitable<void> run(Shared state, std::chrono::milliseconds pause) {
    while (!state->over) {
      state->timer.expires_after(pause);
      co_await state->timer.async_wait(as_value);
      if (state->over) co_return;
      const auto start = Clock::now();
      Verdict verdict = co_await ask(*state);
      verdict.took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
      if (state->over) co_return;
      pause = state->judged(verdict);
    }
  }

  static awaitable<Verdict> ask(State& state) {
    if (state.spec.check.type == CheckType::https) co_return co_await ask_https(state);
    Stream stream(co_await asio::this_coro::executor);
    if (auto trouble = co_await connect(stream, state.spec)) co_return *trouble;
    Verdict out{Answer::right, "", {}};
    if (state.spec.check.type == CheckType::mptcp) out = mptcp_spoken(stream);
    if (state.spec.check.type == CheckType::http) out = co_await ask_http(stream, state.spec);
    hang_up(stream);
    co_return out;
  }

  static awaitable<Verdict> ask_https(State& state) {
    const ProbeSpec& spec = state.spec;
    if (std::string why; !state.tls) {
      state.tls = make_context(spec.check.tls, why);
      if (!why.empty()) {
        state.tls.reset();  // the file may come
        co_return unknown(std::move(why));
      }
    }
    TlsStream stream(co_await asio::this_coro::executor, *state.tls);
    if (auto trouble = co_await connect(beast::get_lowest_layer(stream), spec)) co_return *trouble;
    const std::string& name = !spec.check.tls.name.empty() ? spec.check.tls.name : spec.check.host;
    if (!name.empty()) SSL_set_tlsext_host_name(stream.native_handle(), name.c_str());
    if (spec.check.tls.verify)
      stream.set_verify_callback(
          ssl::host_name_verification(name.empty() ? spec.address.text() : name));
    const auto [error] = co_await stream.async_handshake(ssl::stream_base::client, as_value);
    if (error) co_return tls_failed(stream, error);
    Verdict out = co_await ask_http(stream, spec);
    hang_up(beast::get_lowest_layer(stream));
    co_return out;
  }

  Shared state_;
};

}  // namespace

std::unique_ptr<Probe> start_probe(asio::io_context& io, ProbeSpec spec,
                                   std::chrono::milliseconds first, Judged judged) {
  return std::make_unique<Asking>(io, std::move(spec), first, std::move(judged));
}

}  // namespace lbctl::daemon
