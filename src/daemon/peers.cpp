#include "lbctl/daemon/peers.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "peer_page.hpp"

namespace lbctl::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::ip::tcp;
using model::MetricsPlace;
using model::Peer;

namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
using Deadline = std::chrono::steady_clock::time_point;

// What is compared stands at the page's beginning; whoever answers is not to fill the memory.
constexpr std::size_t most_body = 64 * 1024;
constexpr std::size_t most_head = 8 * 1024;

/// The beginning of the body; nothing: no such answer came.
awaitable<std::optional<std::string>> get(beast::tcp_stream& stream, std::string host) {
  http::request<http::empty_body> request{http::verb::get, "/metrics", 11};
  request.set(http::field::host, host);
  request.set(http::field::user_agent, "lbctl");
  request.set(http::field::connection, "close");
  const auto [sent, n] = co_await http::async_write(stream, request, as_value);
  if (sent) co_return std::nullopt;
  std::string page(most_body, '\0');
  beast::flat_buffer buffer(most_head);
  http::response_parser<http::buffer_body> parser;
  parser.header_limit(most_head);
  parser.body_limit(boost::none);  // of the whole; `page` is the limit of what is read
  parser.get().body().data = page.data();
  parser.get().body().size = page.size();
  const auto [error, m] = co_await http::async_read(stream, buffer, parser, as_value);
  if (error && error != http::error::need_buffer) co_return std::nullopt;
  if (parser.get().result() != http::status::ok) co_return std::nullopt;
  page.resize(page.size() - parser.get().body().size);
  co_return page;
}

awaitable<void> ask(std::vector<MetricsPlace> places, Deadline deadline,
                    std::optional<Peer>& answer) {
  for (const MetricsPlace& place : places) {
    beast::tcp_stream stream(co_await asio::this_coro::executor);
    stream.expires_at(deadline);
    const tcp::endpoint to(asio::ip::make_address(place.address.text()), number(place.port));
    const auto [error] = co_await stream.async_connect(to, as_value);
    if (error) continue;
    const auto page = co_await get(stream, model::endpoint_text(place.address, place.port));
    if (page) answer = read_peer_page(*page);
    if (!answer) continue;
    answer->place = place;
    co_return;
  }
}

}  // namespace

std::map<std::string, Peer> ask_peers(const std::map<std::string, std::vector<MetricsPlace>>& nodes,
                                      std::chrono::milliseconds patience) {
  asio::io_context io{1};
  std::map<std::string, std::optional<Peer>> answers;
  const Deadline deadline = std::chrono::steady_clock::now() + patience;
  for (const auto& [name, places] : nodes)
    asio::co_spawn(io, ask(places, deadline, answers[name]), asio::detached);
  io.run();
  std::map<std::string, Peer> out;
  for (auto& [name, answer] : answers)
    if (answer) out.emplace(name, std::move(*answer));
  return out;
}

}  // namespace lbctl::daemon
