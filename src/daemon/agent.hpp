// The words of HAProxy's agent checks. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lbctl::daemon {

/// What an agent has said so far: what a line does not speak of stays.
struct AgentState {
  bool down = false;           ///< "down", "fail", "failed" or "stopped", until "up"
  bool maint = false;          ///< out of service until "ready"
  bool drain = false;          ///< no new connections until "ready"
  std::uint8_t percent = 100;  ///< of its weight; at most 100
  std::string last;            ///< what took it out, as it was said
};

/// One line, without its end. False: there is no word in it that means anything.
bool take_agent_line(std::string_view line, AgentState& state);

}  // namespace lbctl::daemon
