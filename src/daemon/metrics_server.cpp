#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "metrics.hpp"
#include "servers.hpp"

namespace lbctl::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::ip::tcp;

namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr auto patience = std::chrono::seconds(5);
constexpr int most_clients = 16;

class MetricsServer : public Server {
 public:
  MetricsServer(const Keeper& keeper, std::string version, tcp::acceptor acceptor)
      : state_(std::make_shared<State>(keeper, std::move(version), std::move(acceptor))) {
    asio::co_spawn(state_->acceptor.get_executor(), accept(state_), asio::detached);
  }
  ~MetricsServer() override { state_->acceptor.close(); }
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

 private:
  struct State {
    State(const Keeper& k, std::string v, tcp::acceptor a)
        : keeper(k), version(std::move(v)), acceptor(std::move(a)) {}
    const Keeper& keeper;
    std::string version;
    tcp::acceptor acceptor;
    int clients = 0;
  };
  using Shared = std::shared_ptr<State>;

  static awaitable<void> pause() {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(1));
    co_await timer.async_wait(as_value);
  }

  static awaitable<void> accept(Shared state) {
    while (state->acceptor.is_open()) {
      auto [error, socket] = co_await state->acceptor.async_accept(as_value);
      if (error) co_await pause();  // out of descriptors, or closed
      if (error || state->clients >= most_clients) continue;
      asio::co_spawn(state->acceptor.get_executor(),
                     serve(state, beast::tcp_stream(std::move(socket))), asio::detached);
    }
  }

  static awaitable<void> serve(Shared state, beast::tcp_stream stream) {
    ++state->clients;
    stream.expires_after(patience);
    beast::flat_buffer buffer(16384);
    http::request<http::empty_body> request;
    const auto [error, n] = co_await http::async_read(stream, buffer, request, as_value);
    if (!error) {
      const auto response = answer(*state, request);
      stream.expires_after(patience);
      co_await http::async_write(stream, response, as_value);
    }
    --state->clients;
  }

  static http::response<http::string_body> answer(const State& state,
                                                  const http::request<http::empty_body>& request) {
    http::response<http::string_body> out{http::status::ok, request.version()};
    out.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    const auto path = request.target();
    const bool head = request.method() == http::verb::head;
    if (!head && request.method() != http::verb::get) {
      out.result(http::status::method_not_allowed);
      out.set(http::field::allow, "GET, HEAD");
    } else if (path == "/metrics") {
      out.body() = metrics_of(state.keeper, state.version);
    } else if (path == "/healthz") {
      const std::string trouble = trouble_of(state.keeper);
      if (!trouble.empty()) out.result(http::status::service_unavailable);
      out.body() = trouble.empty() ? "ok\n" : trouble + "\n";
    } else {
      out.result(http::status::not_found);
      out.body() = "/metrics and /healthz are here\n";
    }
    out.keep_alive(false);
    out.prepare_payload();
    if (head) out.body().clear();
    return out;
  }

  Shared state_;
};

}  // namespace

Result<std::unique_ptr<Server>> serve_metrics(asio::io_context& io, const Keeper& keeper,
                                              const std::string& version,
                                              const model::IpAddress& address, model::Port port) {
  const tcp::endpoint endpoint(asio::ip::make_address(address.text()), number(port));
  tcp::acceptor acceptor(io);
  boost::system::error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(most_clients, error);
  if (error)
    return fail_errno(fmt::format("serve metrics at {}", model::endpoint_text(address, port)),
                      error.value());
  return std::make_unique<MetricsServer>(keeper, version, std::move(acceptor));
}

}  // namespace lbctl::daemon
