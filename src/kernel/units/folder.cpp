#include "folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "drop_in.hpp"

namespace lbctl::kernel::units {

namespace {

constexpr std::string_view folder_suffix = ".service.d";
/// Not read by systemd: its name does not end in .conf.
constexpr const char* fresh_name = ".zz-lbctl-mptcpize.conf.new";

Result<std::string> read_all(int fd) {
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read");
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("write");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

/// Not there, or under a folder that is none.
bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR;
}

Result<> write_fresh(int folder, std::string_view text) {
  if (::unlinkat(folder, fresh_name, 0) != 0 && errno != ENOENT) return fail_errno("remove");
  const Fd file(
      ::openat(folder, fresh_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return fail_errno("make");
  if (auto written = write_all(file.get(), text); !written) return written;
  if (::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0) return fail_errno("sync");
  return {};
}

}  // namespace

Result<Fd> Folder::open_unit(const std::string& unit) const {
  Fd fd(::open(fmt::format("{}/{}.d", path_, unit).c_str(),
               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("open {}/{}.d", path_, unit));
  return fd;
}

Result<std::optional<Found>> Folder::find(const std::string& unit) const {
  const auto folder = open_unit(unit);
  if (!folder && is_absence(folder.error().sys())) return std::nullopt;
  if (!folder) return fail(folder.error());
  const std::string path = fmt::format("{}/{}.d/{}", path_, unit, drop_in_name);
  const Fd file(
      ::openat(folder->get(), drop_in_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file && errno == ELOOP) return Found{unit, std::nullopt};
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0) return fail_errno("open " + path);
  if (!S_ISREG(info.st_mode)) return Found{unit, std::nullopt};
  auto text = read_all(file.get());
  if (!text) return fail(std::move(text.error()).during(path));
  return Found{unit, std::move(*text)};
}

Result<std::vector<Found>> Folder::list() const {
  std::vector<std::string> units;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path_, error), end; !error && it != end;
       it.increment(error))
    // A linked folder is a matter of whoever linked it.
    if (const std::string name = it->path().filename().string();
        name.ends_with(folder_suffix) &&
        it->symlink_status(error).type() == std::filesystem::file_type::directory)
      units.push_back(name.substr(0, name.size() - 2));
  if (error && !is_absence(error.value())) return fail_errno("list " + path_, error.value());
  std::ranges::sort(units);
  std::vector<Found> out;
  for (const std::string& unit : units) {
    auto found = find(unit);
    if (!found) return fail(std::move(found.error()));
    if (*found) out.push_back(std::move(**found));
  }
  return out;
}

Result<> Folder::write(const std::string& unit, std::string_view text) const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  const std::string path = fmt::format("{}/{}.d", path_, unit);
  if (error) return fail_errno("make " + path_, error.value());
  const bool made = ::mkdir(path.c_str(), 0755) == 0;
  if (!made && errno != EEXIST) return fail_errno("make " + path);
  const auto folder = open_unit(unit);
  if (!folder) return fail(folder.error());
  // Whatever the umask: systemctl cat(1) is for everybody.
  if (made && ::fchmod(folder->get(), 0755) != 0) return fail_errno("chmod " + path);
  const std::string what = fmt::format("{}/{}", path, drop_in_name);
  if (auto written = write_fresh(folder->get(), text); !written)
    return fail(std::move(written.error()).during(what));
  if (::renameat(folder->get(), fresh_name, folder->get(), drop_in_name) != 0)
    return fail_errno("replace " + what);
  if (::fsync(folder->get()) != 0) return fail_errno("sync " + path);
  return {};
}

Result<> Folder::remove(const std::string& unit) const {
  const auto folder = open_unit(unit);
  if (!folder && is_absence(folder.error().sys())) return {};
  if (!folder) return fail(folder.error());
  for (const char* name : {fresh_name, drop_in_name})
    if (::unlinkat(folder->get(), name, 0) != 0 && errno != ENOENT)
      return fail_errno(fmt::format("remove {}/{}.d/{}", path_, unit, name));
  const std::string path = fmt::format("{}/{}.d", path_, unit);
  if (::rmdir(path.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST)
    return fail_errno("remove " + path);
  return {};
}

}  // namespace lbctl::kernel::units
