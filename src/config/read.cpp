#include "lbctl/config/read.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "draft.hpp"
#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"
#include "schema.hpp"
#include "toml_reader.hpp"

namespace lbctl::config {
namespace {

constexpr const char* standard_input = "-";

/// At most one octet more than max_file_size, which the reader then refuses.
Result<std::string> contents(int fd) {
  std::string out;
  std::array<char, 65536> buffer{};
  while (out.size() <= max_file_size) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("can't be read");
    if (got == 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return out;
}

Result<std::string> contents_of(const std::string& path) {
  if (path == standard_input) return contents(STDIN_FILENO);
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno("can't be read");
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) return fail_errno("can't be read");
  if (S_ISDIR(status.st_mode)) {
    return fail(Error(Errc::invalid, "is a directory")
                    .with_hint("name one file; fragments are not supported by this version"));
  }
  return contents(fd.get());
}

}  // namespace

Loaded read_text(std::string_view text, std::string file_name) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());

  const Source source(std::move(file_name), text);
  Report report(source);
  Loaded out;
  if (const auto root = read_toml(source, report)) {
    check_shape(*root, report);
    const Draft draft = decode(*root, report);
    check_nodes(draft, report);
    check_services(draft, report);
    if (!report.has_errors()) out.config = to_config(draft, source);
  }
  out.diagnostics = report.take();
  return out;
}

Loaded read_file(const std::string& path) {
  std::string name = path == standard_input ? "standard input" : path;
  const auto text = contents_of(path);
  if (text) return read_text(*text, std::move(name));
  Diagnostic unreadable;
  unreadable.file = std::move(name);
  unreadable.line = unreadable.column = unreadable.width = 0;
  unreadable.message = text.error().text();
  unreadable.hint = text.error().hint();
  return {std::nullopt, {std::move(unreadable)}};
}

}  // namespace lbctl::config
