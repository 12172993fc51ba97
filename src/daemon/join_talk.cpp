#include "join_talk.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>

#include "octets.hpp"

namespace lbctl::daemon {

namespace {

constexpr std::uint8_t capable_version = 1, capable_hmac = 0x01, capable_c = 0x20;
constexpr std::size_t capable_answer = 12, join_answer = 16;  ///< octets
constexpr std::size_t join_hmac_short = 8, join_hmac_long = 20;
constexpr std::uint16_t most_segment = 1220;

std::uint8_t octet(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

std::string option(MptcpSubtype subtype, std::uint8_t low, std::uint8_t flags,
                   std::string_view rest = {}) {
  std::string out;
  put(out, option_mptcp, 1);
  put(out, 4 + rest.size(), 1);
  put(out, static_cast<std::uint8_t>(subtype) << 4U | low, 1);
  put(out, flags, 1);
  return out.append(rest);
}

/// With a SYN's option; what a server sends in answer fits through everything.
std::string with_mss(std::string_view after) {
  std::string out;
  put(out, option_mss, 1);
  put(out, 4, 1);
  put(out, most_segment, 2);
  return out.append(after);
}

/// The connection's name at the server: the first 4 octets.
std::string token(const std::string& key) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> out{};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), out.data());
  return {out.begin(), out.begin() + 4};
}

std::string hmac(const std::string& key, const std::string& message, std::size_t octets) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), out.data(), &size);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(octets)};
}

/// Why a server ends a subflow: RFC 8684, 3.6.
std::string_view reset_reason(std::uint8_t code) {
  constexpr std::array<std::string_view, 7> reasons = {"",
                                                       "MPTCP-specific error",
                                                       "lack of resources",
                                                       "administratively prohibited",
                                                       "too much outstanding data",
                                                       "unacceptable performance",
                                                       "middlebox interference"};
  return code < reasons.size() ? reasons.at(code) : "";
}

std::string text(const model::EndpointKey& end) {
  return model::endpoint_text(end.address, end.port);
}

}  // namespace

JoinTalk::JoinTalk(Ends ends, const Chance& chance)
    : ends_(std::move(ends)), sequence_(chance.sequence), join_sequence_(chance.join_sequence) {
  put(key_, chance.key, 8);
  put(nonce_, chance.nonce, 4);
}

JoinTalk::Outgoing JoinTalk::to_asked(std::uint8_t flags, std::string options) const {
  const bool first = (flags & tcp_syn) != 0;
  return {ends_.asked.address, packet_of(ends_.self, ends_.asked,
                                         {.sequence = sequence_ + (first ? 0 : 1),
                                          .acknowledged = first ? 0 : server_next_,
                                          .flags = flags,
                                          .options = std::move(options)})};
}

JoinTalk::Outgoing JoinTalk::to_signal(std::uint8_t flags, std::string options) const {
  const bool first = (flags & tcp_syn) != 0;
  return {ends_.signal_server, packet_of(ends_.self, ends_.signal,
                                         {.sequence = join_sequence_ + (first ? 0 : 1),
                                          .acknowledged = first ? 0 : join_next_,
                                          .flags = flags,
                                          .options = std::move(options)})};
}

std::vector<JoinTalk::Outgoing> JoinTalk::due() const {
  if (outcome_) return {};
  switch (stage_) {
    case Stage::connecting:
      return {to_asked(tcp_syn,
                       with_mss(option(MptcpSubtype::capable, capable_version, capable_hmac)))};
    case Stage::joining:
      return {to_asked(tcp_ack, option(MptcpSubtype::capable, capable_version, capable_hmac,
                                       key_ + server_key_)),
              // From the connection's own address: id 0.
              to_signal(tcp_syn,
                        with_mss(option(MptcpSubtype::join, 0, 0, token(server_key_) + nonce_)))};
    case Stage::confirming:
      return {to_signal(tcp_ack,
                        option(MptcpSubtype::join, 0, 0,
                               hmac(key_ + server_key_, nonce_ + server_nonce_, join_hmac_long)))};
  }
  return {};
}

bool JoinTalk::over(std::string why) {
  outcome_ = std::move(why);
  return true;
}

bool JoinTalk::hear(const model::IpAddress& from, std::string_view segment) {
  const auto read = read_segment(segment);
  if (!read || outcome_ || read->to != ends_.self.port) return false;
  const model::EndpointKey end{from, read->from};
  if (end == ends_.asked) return hear_connection(*read);
  return end == ends_.signal && hear_join(*read);
}

bool JoinTalk::hear_connection(const Segment& segment) {
  const bool first = stage_ == Stage::connecting;
  if (first && (!segment.has(tcp_ack) || segment.acknowledged != sequence_ + 1)) return false;
  if (segment.has(tcp_rst))
    return (first || segment.sequence == server_next_) && over("the connection was reset");
  return first && segment.has(tcp_syn) && take_capable(segment);
}

bool JoinTalk::take_capable(const Segment& segment) {
  const auto capable = segment.mptcp(MptcpSubtype::capable);
  if (!capable || capable->size() != capable_answer ||
      (octet(*capable, 2) & 0xf) != capable_version || (octet(*capable, 3) & capable_hmac) == 0)
    return over("the server speaks TCP without MPTCP");
  server_next_ = segment.sequence + 1;
  server_key_ = capable->substr(4);
  if ((octet(*capable, 3) & capable_c) == 0)
    return over("it answers without the C flag: joins would go to the VIP");
  stage_ = Stage::joining;
  return true;
}

bool JoinTalk::hear_join(const Segment& segment) {
  if (stage_ == Stage::joining) {
    if (!segment.has(tcp_ack) || segment.acknowledged != join_sequence_ + 1) return false;
    if (segment.has(tcp_rst)) return refused(segment);
    return segment.has(tcp_syn) && take_join(segment);
  }
  if (stage_ != Stage::confirming || segment.sequence != join_next_) return false;
  if (segment.has(tcp_rst)) return refused(segment);
  return segment.has(tcp_ack) && segment.acknowledged == join_sequence_ + 1 && over("");
}

bool JoinTalk::take_join(const Segment& segment) {
  const auto join = segment.mptcp(MptcpSubtype::join);
  if (!join || join->size() != join_answer)
    return over(fmt::format("the join to {} was answered as plain TCP", text(ends_.signal)));
  join_next_ = segment.sequence + 1;
  server_nonce_ = join->substr(4 + join_hmac_short);
  if (join->substr(4, join_hmac_short) !=
      hmac(server_key_ + key_, server_nonce_ + nonce_, join_hmac_short))
    return over(fmt::format("the join to {} was answered with a wrong HMAC", text(ends_.signal)));
  stage_ = Stage::confirming;
  return true;
}

bool JoinTalk::refused(const Segment& segment) {
  // On another queue of the server's device the join may have overtaken the connection's last ACK.
  if (stage_ == Stage::joining && !refused_once_) {
    refused_once_ = true;
    return false;
  }
  const auto reset = segment.mptcp(MptcpSubtype::reset);
  const std::string_view reason = reset ? reset_reason(octet(*reset, 3)) : "";
  return over(fmt::format("the join to {} was answered by RST{}{}", text(ends_.signal),
                          reason.empty() ? "" : ": ", reason));
}

std::string JoinTalk::unanswered() const {
  if (stage_ == Stage::connecting) return "connect: no answer in time";
  if (refused_once_) return fmt::format("the join to {} was answered by RST", text(ends_.signal));
  return fmt::format("the join to {} was not answered in time", text(ends_.signal));
}

std::vector<JoinTalk::Outgoing> JoinTalk::farewell() const {
  std::vector<Outgoing> out;
  if (!server_nonce_.empty()) out.push_back(to_signal(tcp_rst, {}));
  // A plain RST would end this subflow only, not what the server's application holds.
  if (!server_key_.empty())
    out.push_back(to_asked(tcp_rst | tcp_ack, option(MptcpSubtype::fastclose, 0, 0, server_key_)));
  return out;
}

}  // namespace lbctl::daemon
