#include "folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::config {
namespace {

constexpr const char* standard_input = "-";
constexpr const char* fragments = "conf.d";

/// At most one octet more than `most`.
Result<std::string> contents(int fd, std::size_t most) {
  std::string out;
  std::array<char, 65536> buffer{};
  while (out.size() <= most) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("can't be read");
    if (got == 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return out;
}

class Reader {
 public:
  Folder run(const std::string& path) {
    if (path == standard_input) {
      keep("standard input", contents(STDIN_FILENO, max_file_size));
      return std::move(out_);
    }
    file(path, "name one file; fragments are read from conf.d beside it");
    for (const std::string& name : fragment_names(path))
      file(name, "");
    return std::move(out_);
  }

 private:
  void remark(const std::string& name, Diagnostic::Severity severity, std::string message,
              std::string hint) {
    if (severity == Diagnostic::Severity::error) out_.whole = false;
    out_.diagnostics.push_back({severity, name, 0, 0, 0, std::move(message), std::move(hint), ""});
  }

  void keep(const std::string& name, Result<std::string> text) {
    if (!text) {
      return remark(name, Diagnostic::Severity::error, text.error().text(), text.error().hint());
    }
    octets_ += text->size();
    // That one file alone is too large is said where it is read as TOML.
    if (octets_ > max_file_size && !out_.texts.empty()) {
      if (!too_much_) {
        remark(name, Diagnostic::Severity::error,
               fmt::format("with this, all files together are larger than {} MiB",
                           max_file_size >> 20),
               "");
      }
      too_much_ = true;
      return;
    }
    out_.texts.push_back({name, std::move(*text)});
  }

  void file(const std::string& path, const std::string& if_folder) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    struct stat status{};
    if (!fd || ::fstat(fd.get(), &status) < 0) return keep(path, fail_errno("can't be read"));
    if (S_ISDIR(status.st_mode))
      return keep(path, fail(Error(Errc::invalid, "is a directory").with_hint(if_folder)));
    // Its author decides what this node, as root, does to the kernel.
    if (S_ISREG(status.st_mode) && (status.st_mode & S_IWOTH) != 0)
      remark(path, Diagnostic::Severity::warning, "everybody may write this file", "chmod o-w");
    keep(path, contents(fd.get(), max_file_size));
  }

  /// Paths of the regular files conf.d/*.toml, by name; nothing if there is no such folder. Hidden
  /// files are editors' own.
  std::vector<std::string> fragment_names(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path() / fragments;
    std::vector<std::string> out;
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename();
      if (name.starts_with('.') || !name.ends_with(".toml")) continue;
      std::error_code unknown;  // a link that leads nowhere: reading it tells
      const bool odd = it->exists(unknown) && !it->is_regular_file(unknown);
      if (odd) {
        remark(it->path(), Diagnostic::Severity::warning, "is no regular file; it is not read", "");
      } else {
        out.push_back(it->path());
      }
    }
    if (error && error != std::errc::no_such_file_or_directory &&
        error != std::errc::not_a_directory) {
      remark(folder, Diagnostic::Severity::error, fmt::format("can't be read: {}", error.message()),
             "");
    }
    std::ranges::sort(out);
    return out;
  }

  Folder out_;
  std::size_t octets_ = 0;
  bool too_much_ = false;
};

}  // namespace

Folder read_folder(const std::string& path) {
  return Reader().run(path);
}

}  // namespace lbctl::config
