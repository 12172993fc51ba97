// Questions of one datagram (udp, dns, quic): what is sent, and what is wrong with an answer. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lbctl/config/health.hpp"

namespace lbctl::daemon {

/// `random` makes questions differ, so that late answers to earlier ones are told from right ones.
std::string datagram_of(const config::HealthCheck& check, std::uint64_t random);

/// What is wrong with the answer to `sent`; empty: nothing. The answer may hold anything.
std::string wrong_answer(const config::HealthCheck& check, std::string_view sent,
                         std::string_view answer);

}  // namespace lbctl::daemon
