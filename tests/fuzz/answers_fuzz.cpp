// Fuzzes what servers answer to dns, quic and agent checks. The first octet chooses which. Each
// input is an answer, and also what follows the right beginning of one; and the page of a peer.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "agent.hpp"
#include "datagrams.hpp"
#include "peer_page.hpp"

using namespace lbctl;
using namespace lbctl::daemon;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

void judge(config::CheckType type, std::string_view input) {
  const config::HealthCheck check{.type = type};
  const std::string sent = datagram_of(check, 0x0123456789abcdef);
  const std::string why = wrong_answer(check, sent, input);
  // What is shorter than every right answer is wrong.
  if (input.size() < 12) require(!why.empty(), "short answers are wrong");
  std::string begun = sent.substr(0, 2) + "\x80";  // of DNS: the ID, and that it is an answer
  if (type == config::CheckType::quic)
    begun = std::string("\x80\0\0\0\0\x08", 6) + sent.substr(15, 8) + "\x08" + sent.substr(6, 8);
  (void)wrong_answer(check, sent, begun.append(input));
}

void say(std::string_view lines) {
  AgentState state;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const AgentState before = state;
    const bool known = take_agent_line(line, state);
    require(state.percent <= 100, "never more than the file's weight");
    require(known || (state.percent == before.percent && state.down == before.down &&
                      state.maint == before.maint && state.drain == before.drain),
            "nonsense changes nothing");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto peer = read_peer_page(input))
    require(peer->config_hash.size() == 16, "a hash has sixteen digits");
  switch (data[0] % 3) {
    case 0:
      judge(config::CheckType::dns, input);
      break;
    case 1:
      judge(config::CheckType::quic, input);
      break;
    default:
      say(input);
  }
  return 0;
}
