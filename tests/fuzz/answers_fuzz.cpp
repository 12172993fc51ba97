// Fuzzes what servers answer to dns, quic, agent and mptcp checks. The first octet chooses which.
// Each input is an answer, and also what follows the right beginning of one; and a peer's page.
#include <array>
#include <cstdio>
#include <cstdlib>

#include "agent.hpp"
#include "datagrams.hpp"
#include "join_talk.hpp"
#include "peer_page.hpp"
#include "quic_cid.hpp"

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

/// What a QUIC server's first datagram says of it.
void issue(std::string_view datagram) {
  const auto cid = issued_cid(datagram);
  if (!cid) return;
  require(cid->size() <= 20, "no connection ID is longer");
  const std::vector<ProbeSpec::CidSlot> slots{
      {{{.config = 0, .id_length = 2, .nonce_length = 6}, ""}, {.low = 2}},
      {{{.format = model::CidFormat::msquic}, ""}, {.low = 2}}};
  (void)wrong_cid(slots, *cid);
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

/// The input is segments, each with its length before it, from the server and its signal address
/// by turns.
void join(std::string_view input) {
  const auto address = [](const char* text) { return *model::IpAddress::parse(text); };
  const model::EndpointKey self{address("192.0.2.10"), model::Port{0xa4bf}};
  const model::EndpointKey server{address("192.0.2.12"), model::Port{443}};
  const model::EndpointKey signal{address("192.0.2.112"), model::Port{443}};
  JoinTalk talk({self, server, signal, server.address},
                {0x3678b9586c01adba, 0xb970655d, 0x4fbbeb98, 0x75405f84});
  for (bool from_server = true; input.size() > 1; from_server = !from_server) {
    const auto size = static_cast<std::uint8_t>(input.front());
    input.remove_prefix(1);
    const std::string_view segment = input.substr(0, size);
    input.remove_prefix(segment.size());
    const bool was_over = talk.outcome().has_value();
    const bool news = talk.hear((from_server ? server : signal).address, segment);
    require(!news || !was_over, "what is over stays as it is");
    require(talk.due().empty() == talk.outcome().has_value(), "it asks until it is over");
    (void)talk.farewell();
  }
  // Whoever does not know our key, as no input does without having been made for it, is found out.
  if (talk.outcome())
    require(talk.outcome() != "" || talk.farewell().size() == 2, "right by a join");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto peer = read_peer_page(input))
    require(peer->config_hash.size() == 16, "a hash has sixteen digits");
  switch (data[0] % 5) {
    case 0:
      judge(config::CheckType::dns, input);
      break;
    case 1:
      judge(config::CheckType::quic, input);
      break;
    case 2:
      say(input);
      break;
    case 3:
      join(input);
      break;
    default:
      issue(input);
  }
  return 0;
}
