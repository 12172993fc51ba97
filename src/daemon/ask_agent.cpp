// agent: what a server says of itself in one line.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "asking.hpp"

namespace lbctl::daemon {

namespace {

constexpr std::size_t most_line = 1024;

/// For messages: the rest of it is not to be trusted with a terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

}  // namespace

awaitable<Verdict> ask_agent(const ProbeSpec& spec, Memory& memory) {
  Stream stream(co_await asio::this_coro::executor);
  if (auto trouble = co_await connect(stream, spec)) co_return *trouble;
  if (const std::string& send = spec.check.datagram.send; !send.empty()) {
    const auto [lost, n] = co_await asio::async_write(stream, asio::buffer(send), as_value);
    if (lost) co_return failed(lost, "send");
  }
  std::string text;
  const auto [error, size] = co_await asio::async_read_until(
      stream, asio::dynamic_buffer(text, most_line), '\n', as_value);
  hang_up(stream);
  // Some agents end their line by closing.
  if (error && error != asio::error::eof) co_return failed(error, "answer");
  const std::string line = printable(text.substr(0, text.find_first_of("\r\n")));
  AgentState& state = memory.agent;
  if (!take_agent_line(line, state))
    co_return wrong(fmt::format("the agent says nothing that is known: \"{}\"", line));
  if (state.down || state.maint) co_return wrong(fmt::format("the agent says \"{}\"", state.last));
  Verdict out = right();
  out.percent = state.drain ? std::uint8_t{0} : state.percent;
  co_return out;
}

}  // namespace lbctl::daemon
