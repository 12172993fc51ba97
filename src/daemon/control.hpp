// The control socket's language: a request is one JSON object on a line, and so is its answer.
#pragma once

#include <string>
#include <string_view>

#include "keeper.hpp"

namespace lbctl::daemon {

inline constexpr std::size_t longest_request = 4096;

/// What a request asks of the event loop beyond its answer.
struct Reply {
  Json answer;
  bool reload = false;  ///< the file is to be read, then the answer sent
  bool round = false;   ///< the node is to be made to match
  bool events = false;  ///< every event from now on is to be sent
};

/// Never throws; a request that makes no sense gets an answer that says so.
Reply reply_to(std::string_view line, Keeper& keeper);

Json status_of(const Keeper& keeper);
Json checks_of(const Keeper& keeper);

}  // namespace lbctl::daemon
