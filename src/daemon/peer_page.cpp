#include "peer_page.hpp"

#include <algorithm>
#include <charconv>

namespace lbctl::daemon {
namespace {

constexpr std::size_t hash_digits = 16, check_digits = 6;

bool take(std::string_view& line, std::string_view expected) {
  if (!line.starts_with(expected)) return false;
  line.remove_prefix(expected.size());
  return true;
}

/// That many hexadecimal digits; nothing if there are others.
std::optional<std::string> take_digits(std::string_view& line, std::size_t count) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto end = std::min(line.find_first_not_of(digits), line.size());
  if (end != count) return std::nullopt;
  std::string out(line.substr(0, count));
  line.remove_prefix(count);
  return out;
}

std::optional<std::string> read_hash(std::string_view line) {
  if (!take(line, "lbctl_config_hash{hash=\"")) return std::nullopt;
  auto out = take_digits(line, hash_digits);
  return out && line == "\"} 1" ? out : std::nullopt;
}

void read_key_check(std::string_view line, model::KeyChecks& out) {
  if (!take(line, "lbctl_cid_key_check{service=\"")) return;
  const std::string service(line.substr(0, line.find('"')));
  line.remove_prefix(service.size());
  if (!take(line, "\",scheme=\"")) return;
  std::size_t scheme = 0;
  const auto read = std::from_chars(line.data(), line.data() + line.size(), scheme);
  if (read.ec != std::errc()) return;
  line.remove_prefix(static_cast<std::size_t>(read.ptr - line.data()));
  if (!take(line, "\",check=\"")) return;
  auto check = take_digits(line, check_digits);
  if (check && line == "\"} 1") out[{service, scheme}] = std::move(*check);
}

}  // namespace

std::optional<model::Peer> read_peer_page(std::string_view page) {
  model::Peer out;
  // The last line may have been cut off.
  for (auto end = page.find('\n'); end != std::string_view::npos; end = page.find('\n')) {
    const auto line = page.substr(0, end);
    page.remove_prefix(end + 1);
    if (auto hash = read_hash(line)) out.config_hash = std::move(*hash);
    read_key_check(line, out.key_checks);
  }
  return out.config_hash.empty() ? std::nullopt : std::optional(std::move(out));
}

}  // namespace lbctl::daemon
