// The keys of health checks and of the quorum of a service.
#include <array>

#include "schema.hpp"

namespace lbctl::config {
namespace {

// In the order of the manual page; a table before its keys.
constexpr std::array keys = {
    KeySpec{.pattern = "services.*.check",
            .shape = Shape::table,
            .about = "How the servers' health is found out"},
    KeySpec{.pattern = "services.*.check.type",
            .shape = Shape::text,
            .about = "What a server must answer",
            .words = "tcp http https mptcp quic ping",
            .fallback = "\"tcp\""},
    KeySpec{.pattern = "services.*.check.port",
            .shape = Shape::whole,
            .about = "Where the server is asked",
            .range = port_range,
            .fallback = "the service's first"},
    KeySpec{.pattern = "services.*.check.interval",
            .shape = Shape::duration,
            .about = "From one question to the next",
            .range = check_interval_range,
            .fallback = "\"5s\"",
            .example = "interval = \"5s\""},
    KeySpec{.pattern = "services.*.check.timeout",
            .shape = Shape::duration,
            .about = "How long an answer is waited for; at most the interval",
            .range = check_timeout_range,
            .fallback = "\"2s\"",
            .example = "timeout = \"2s\""},
    KeySpec{.pattern = "services.*.check.rise",
            .shape = Shape::whole,
            .about = "Right answers in a row until a server is healthy",
            .range = check_count_range,
            .fallback = "2"},
    KeySpec{.pattern = "services.*.check.fall",
            .shape = Shape::whole,
            .about = "Wrong or missing answers in a row until it is not",
            .range = check_count_range,
            .fallback = "3"},
    KeySpec{.pattern = "services.*.check.path",
            .shape = Shape::text,
            .about = "What is asked for, with http and https",
            .fallback = "\"/\"",
            .example = "path = \"/health\""},
    KeySpec{.pattern = "services.*.check.host",
            .shape = Shape::text,
            .about = "The host that is asked for, with http and https",
            .fallback = "the server's address"},
    KeySpec{.pattern = "services.*.check.status",
            .shape = Shape::whole,
            .about = "The status of a right answer, with http and https",
            .range = http_status_range,
            .fallback = "200"},
    KeySpec{.pattern = "services.*.quorum",
            .shape = Shape::table,
            .about = "How much of a service must be healthy"},
    KeySpec{.pattern = "services.*.quorum.up",
            .shape = Shape::whole,
            .about = "The least sum of the healthy servers' weights",
            .range = quorum_range,
            .fallback = "1"},
    KeySpec{.pattern = "services.*.quorum.hysteresis",
            .shape = Shape::whole,
            .about = "How far below it may fall, once reached, before it counts as lost",
            .range = hysteresis_range,
            .fallback = "0"},
};

}  // namespace

std::span<const KeySpec> check_keys() {
  return keys;
}

}  // namespace lbctl::config
