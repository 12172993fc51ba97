// As much of HTTP/3 (RFC 9114, 9204) as a GET without a dynamic table takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace peer {

/// What the control stream begins with: its type, and no setting.
std::string control_stream();
/// A request's whole stream. The path has at most 126 octets.
std::string get_request(std::string_view path);
/// The octets of a stream's DATA frames; nothing when it breaks off within a frame.
std::optional<std::string> body_of(std::string_view stream);

}  // namespace peer
