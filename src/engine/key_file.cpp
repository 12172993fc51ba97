#include "lbctl/engine/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>

#include "lbctl/base/handle.hpp"

namespace lbctl::engine {
namespace {

/// A key, a newline, and room to see that there is more.
struct Text {
  std::array<char, 128> octets{};
  std::size_t size = 0;
  ~Text() { wipe(octets.data(), octets.size()); }

  std::string_view trimmed() const {
    constexpr std::string_view blank = " \t\r\n";
    std::string_view out(octets.data(), size);
    const std::size_t first = out.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return out.substr(first, out.find_last_not_of(blank) + 1 - first);
  }
};

Result<> check_owner(const Fd& file) {
  struct stat info{};
  if (fstat(file.get(), &info) < 0) return fail_errno("look at it");
  if (!S_ISREG(info.st_mode)) return fail(Errc::invalid, "it is no regular file");
  if ((info.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0)
    return fail(
        Error(Errc::permission,
              fmt::format("others may {} it (mode {:04o})",
                          (info.st_mode & S_IROTH) != 0 ? "read" : "write", info.st_mode & 07777u))
            .with_hint("chmod 0640 or 0600, and take another key if it was read"));
  if (info.st_uid != 0 && info.st_uid != geteuid())
    return fail(Error(Errc::permission, fmt::format("it belongs to user {}", info.st_uid))
                    .with_hint("chown root"));
  return {};
}

Result<model::CidKey> parse(std::string_view text) {
  model::CidKey::Octets octets{};
  bool right = text.size() == 2 * octets.size();
  for (std::size_t i = 0; right && i < octets.size(); ++i) {
    const char* digits = text.data() + 2 * i;
    right = std::from_chars(digits, digits + 2, octets[i], 16).ptr == digits + 2;
  }
  const model::CidKey key(octets);
  wipe(octets.data(), octets.size());
  if (!right)
    return fail(Error(Errc::invalid, "it does not hold 32 hexadecimal digits and nothing else")
                    .with_hint("umask 077; openssl rand -hex 16 > FILE"));
  return key;
}

Result<model::CidKey> read(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return fail_errno("open it");
  if (auto ok = check_owner(file); !ok) return fail(std::move(ok.error()));
  Text text;
  while (text.size < text.octets.size()) {
    const ssize_t got =
        ::read(file.get(), text.octets.data() + text.size, text.octets.size() - text.size);
    if (got < 0) return fail_errno("read it");
    if (got == 0) break;
    text.size += static_cast<std::size_t>(got);
  }
  const bool whole = text.size < text.octets.size();
  return parse(whole ? text.trimmed() : std::string_view());
}

}  // namespace

Result<model::CidKey> read_key_file(const std::string& path) {
  auto key = read(path);
  if (!key) return fail(std::move(key.error()).during("key file " + path));
  return key;
}

}  // namespace lbctl::engine
