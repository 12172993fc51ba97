// udp, dns and quic: one datagram, and what comes back for it.
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/udp.hpp>

#include "asking.hpp"
#include "datagrams.hpp"

namespace lbctl::daemon {

using asio::ip::udp;

namespace {

/// A datagram of any server that may be asked: longer ones are cut off.
constexpr std::size_t most_answer = 4096;

}  // namespace

awaitable<Verdict> ask_datagram(const ProbeSpec& spec) {
  const auto fd = open_socket(spec, SOCK_DGRAM, 0);
  if (!fd) co_return fd.error();
  const udp::endpoint to(asio::ip::make_address(asked_address(spec).text()), number(spec.port));
  // The timer's handler may run after this question's end.
  const auto socket =
      std::make_shared<udp::socket>(co_await asio::this_coro::executor, to.protocol(), *fd);
  // Connected: only its answers come, and ICMP errors do.
  error_code error;
  socket->connect(to, error);
  if (error) co_return failed(error, "connect");
  const std::string sent = datagram_of(spec.check, random_number());
  asio::steady_timer timer(socket->get_executor(), std::chrono::seconds(spec.check.timeout));
  timer.async_wait([socket](const error_code& ended) {
    if (!ended) socket->cancel();
  });
  const auto [lost, n] = co_await socket->async_send(asio::buffer(sent), as_value);
  if (lost) co_return failed(lost, "send");
  std::array<char, most_answer> buffer{};
  const auto [none, size] = co_await socket->async_receive(asio::buffer(buffer), as_value);
  if (none == asio::error::operation_aborted) {
    const bool silence = spec.check.type == config::CheckType::udp && !spec.check.datagram.expect;
    co_return silence ? right() : wrong("no answer in time");
  }
  if (none) co_return failed(none, "answer");
  auto why = wrong_answer(spec.check, sent, {buffer.data(), size});
  co_return why.empty() ? right() : wrong(std::move(why));
}

}  // namespace lbctl::daemon
