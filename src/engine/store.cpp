#include "lbctl/engine/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace lbctl::engine {

namespace {

Result<> make_dir(int at, const std::string& name, mode_t mode, const std::string& path) {
  if (::mkdirat(at, name.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("make " + path);
  return {};
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string out;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write " + path);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

/// Refuses a directory through which somebody else could steer us.
Result<Store> Store::open_at(int at, const std::string& name, const std::string& path) {
  Fd fd(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path);
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("stat " + path);
  if (st.st_uid != ::geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Error(Errc::permission,
                      fmt::format("{} must belong to uid {} and be writable by nobody else", path,
                                  ::geteuid()))
                    .with_hint("chown and chmod it, or choose another place with --state-dir"));
  return Store(std::move(fd), path);
}

Result<Store> Store::open(const std::string& path, mode_t mode) {
  if (auto made = make_dir(AT_FDCWD, path, mode, path); !made) return fail(std::move(made.error()));
  return open_at(AT_FDCWD, path, path);
}

Result<std::optional<Store>> Store::open_existing(const std::string& path) {
  auto opened = open_at(AT_FDCWD, path, path);
  if (opened) return std::optional(std::move(*opened));
  if (opened.error().sys() == ENOENT) return std::nullopt;
  return fail(std::move(opened.error()));
}

Result<Store> Store::open_inside(const std::string& name, mode_t mode) const {
  const std::string path = path_ + "/" + name;
  if (auto made = make_dir(fd(), name, mode, path); !made) return fail(std::move(made.error()));
  return open_at(fd(), name, path);
}

Result<std::optional<std::string>> Store::read(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  const Fd file(::openat(fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return fail_errno("open " + path);
  auto text = read_all(file.get(), path);
  if (!text) return fail(std::move(text.error()));
  return std::optional(std::move(*text));
}

Result<> Store::write(const std::string& name, std::string_view text) {
  const std::string fresh = name + ".new";
  const std::string path = path_ + "/" + fresh;
  if (::unlinkat(fd(), fresh.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("remove " + path);
  const Fd file(
      ::openat(fd(), fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno("make " + path);
  if (auto written = write_all(file.get(), text, path); !written) return written;
  if (::fsync(file.get()) != 0) return fail_errno("sync " + path);
  if (::renameat(fd(), fresh.c_str(), fd(), name.c_str()) != 0) return fail_errno("rename " + path);
  if (::fsync(fd()) != 0) return fail_errno("sync " + path_);
  return {};
}

Result<> Store::remove(const std::string& name) {
  if (::unlinkat(fd(), name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("remove " + path_ + "/" + name);
  return {};
}

}  // namespace lbctl::engine
