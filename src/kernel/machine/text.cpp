#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace lbctl::kernel::machine {
namespace {

void each_line(std::string_view text, const std::function<void(std::string_view)>& use) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    use(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
}

/// Files are named with dashes or underscores; modprobe takes them for the same.
std::string module_name(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, '-', '_');
  return out;
}

template <class Number>
std::optional<Number> number_in(std::string_view text, int base) {
  Number out{};
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out, base);
  return read.ec == std::errc() && read.ptr == end ? std::optional(out) : std::nullopt;
}

}  // namespace

std::string unit_of(std::string_view cgroup) {
  constexpr std::string_view suffix = ".service";
  std::string out;
  each_line(cgroup, [&](std::string_view line) {
    // "0::/system.slice/nginx.service/workers": the innermost one that is a service.
    for (auto path = line.substr(std::min(line.find('/'), line.size())); !path.empty();) {
      path.remove_prefix(1);
      const auto end = std::min(path.find('/'), path.size());
      // That of a whole login is none of the application's.
      const auto part = path.substr(0, end);
      if (part.ends_with(suffix) && !part.starts_with("user@")) out = part;
      path.remove_prefix(end);
    }
  });
  return out;
}

std::optional<std::uint32_t> socket_inode(std::string_view link) {
  constexpr std::string_view start = "socket:[";
  if (!link.starts_with(start) || !link.ends_with(']')) return std::nullopt;
  link.remove_prefix(start.size());
  link.remove_suffix(1);
  return number_in<std::uint32_t>(link, 10);
}

std::uint64_t capabilities(std::string_view status) {
  constexpr std::string_view key = "CapEff:\t";
  std::uint64_t out = 0;
  each_line(status, [&](std::string_view line) {
    if (line.starts_with(key))
      out = number_in<std::uint64_t>(line.substr(key.size()), 16).value_or(0);
  });
  return out;
}

void add_module_files(std::string_view text, std::set<std::string>& modules) {
  each_line(text, [&](std::string_view line) {
    const auto path = line.substr(0, line.find(':'));
    const auto name = path.substr(path.find_last_of('/') + 1);  // without a slash from 0 on
    if (const auto end = name.find(".ko"); end != std::string_view::npos)
      modules.insert(module_name(name.substr(0, end)));
  });
}

void add_loaded_modules(std::string_view text, std::set<std::string>& modules) {
  each_line(text, [&](std::string_view line) { modules.emplace(line.substr(0, line.find(' '))); });
}

}  // namespace lbctl::kernel::machine
