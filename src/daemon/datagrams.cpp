#include "datagrams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "octets.hpp"

namespace lbctl::daemon {

using config::CheckType;
using config::HealthCheck;

namespace {

// --- DNS: RFC 1035, section 4.

constexpr std::uint32_t dns_is_answer = 0x8000, dns_opcode = 0x7800, dns_wants_recursion = 0x0100;
constexpr std::uint32_t dns_rcode = 0xf, dns_class_in = 1;
constexpr std::size_t dns_header = 12;

std::string dns_query(const HealthCheck::Dns& dns, std::uint64_t random) {
  std::string out;
  put(out, random, 2);
  put(out, dns_wants_recursion, 2);
  put(out, 1, 2);  // questions
  put(out, 0, 6);  // no records
  out += dns.name;
  put(out, dns.record, 2);
  put(out, dns_class_in, 2);
  return out;
}

std::string rcode_text(std::uint32_t rcode) {
  constexpr std::array names = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  return rcode < names.size() ? names.at(rcode) : fmt::format("RCODE {}", rcode);
}

/// Servers may answer in another case (RFC 4343).
bool same_but_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string wrong_dns(std::string_view sent, std::string_view answer) {
  Reader reader(answer);
  const auto id = reader.take(2);
  const auto flags = reader.number(2);
  const auto questions = reader.number(2);
  if (!reader.take(dns_header - 6)) return "the answer is no DNS message";
  if (*id != sent.substr(0, 2)) return "the answer has another query's ID";
  if ((*flags & dns_is_answer) == 0 || (*flags & dns_opcode) != 0) return "that is no answer";
  if (const auto rcode = *flags & dns_rcode; rcode != 0) return rcode_text(rcode);
  const std::string_view question = sent.substr(dns_header);
  const auto repeated = reader.take(question.size());
  if (*questions != 1 || !repeated || !same_but_case(*repeated, question))
    return "the answer is to another query";
  return "";
}

// --- QUIC: RFC 8999; RFC 9000, sections 6 and 17.2.1.

/// Servers send no Version Negotiation for less.
constexpr std::size_t quic_least = 1200;
constexpr std::size_t quic_cid = 8;
constexpr std::size_t quic_scid_at = 1 + 4 + 1 + quic_cid + 1;
constexpr std::uint32_t quic_long = 0x80, quic_fixed = 0x40;

std::string quic_packet(std::uint64_t random) {
  std::string out;
  put(out, quic_long | quic_fixed, 1);
  put(out, (random & 0xf0f0f0f0) | 0x0a0a0a0a, 4);  // reserved: nobody speaks it
  put(out, quic_cid, 1);
  // With QUIC-LB a connection ID that begins so names no server: steering leaves it alone.
  put(out, 0xff, 1);
  put(out, random, quic_cid - 1);
  put(out, quic_cid, 1);
  put(out, ~random, quic_cid);
  out.resize(quic_least);
  return out;
}

std::string wrong_quic(std::string_view sent, std::string_view answer) {
  Reader reader(answer);
  const auto first = reader.number(1);
  const auto version = reader.number(4);
  if (!version) return "the answer is no QUIC packet with a long header";
  if ((*first & quic_long) == 0 || *version != 0)
    return "the answer is no Version Negotiation packet";
  const auto cid = [&]() -> std::optional<std::string_view> {
    const auto length = reader.number(1);
    return length ? reader.take(*length) : std::nullopt;
  };
  const auto destination = cid();
  const auto source = destination ? cid() : std::nullopt;
  if (!source) return "the Version Negotiation packet is cut off";
  if (*destination != sent.substr(quic_scid_at, quic_cid) || *source != sent.substr(6, quic_cid))
    return "the Version Negotiation packet has other connection IDs";
  const std::string_view versions = reader.rest();
  if (versions.empty() || versions.size() % 4 != 0) return "the list of versions is cut off";
  for (std::size_t at = 0; at < versions.size(); at += 4)
    if (versions.substr(at, 4) == sent.substr(1, 4))
      return "the server claims to speak any version";
  return "";
}

}  // namespace

std::string datagram_of(const HealthCheck& check, std::uint64_t random) {
  switch (check.type) {
    case CheckType::dns:
      return dns_query(check.dns, random);
    case CheckType::quic:
      return quic_packet(random);
    default:
      return check.datagram.send;
  }
}

std::string wrong_answer(const HealthCheck& check, std::string_view sent, std::string_view answer) {
  switch (check.type) {
    case CheckType::dns:
      return wrong_dns(sent, answer);
    case CheckType::quic:
      return wrong_quic(sent, answer);
    default:
      return answer.starts_with(check.datagram.expect.value_or("")) ? "" : "another answer";
  }
}

}  // namespace lbctl::daemon
