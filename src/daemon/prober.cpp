// Asks one server again and again; how each kind of question is put stands in ask_*.cpp.
#include "prober.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "asking.hpp"
#include "crowd.hpp"

namespace lbctl::daemon {

using config::CheckType;
using Clock = std::chrono::steady_clock;

namespace {

awaitable<Verdict> ask_tcp(const ProbeSpec& spec) {
  Stream stream(co_await asio::this_coro::executor);
  if (auto trouble = co_await connect(stream, spec)) co_return *trouble;
  hang_up(stream);
  co_return right();
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
    Memory memory;
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
    switch (state.spec.check.type) {
      case CheckType::tcp:
        return ask_tcp(state.spec);
      case CheckType::mptcp:
        return ask_mptcp(state.spec);
      case CheckType::http:
        return ask_http(state.spec);
      case CheckType::https:
        return ask_https(state.spec, state.memory);
      case CheckType::udp:
      case CheckType::dns:
        return ask_datagram(state.spec);
      case CheckType::quic:
        return ask_quic(state.spec, state.memory);
      case CheckType::exec:
        return ask_command(state.spec, state.memory);
      case CheckType::agent:
        return ask_agent(state.spec, state.memory);
    }
    return ask_tcp(state.spec);
  }

  Shared state_;
};

}  // namespace

std::unique_ptr<Probe> start_probe(asio::io_context& io, ProbeSpec spec,
                                   std::chrono::milliseconds first, Judged judged) {
  if (is_of_the_crowd(spec)) return start_in_crowd(io, std::move(spec), first, std::move(judged));
  return std::make_unique<Asking>(io, std::move(spec), first, std::move(judged));
}

}  // namespace lbctl::daemon
