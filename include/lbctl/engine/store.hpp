// A directory of small files that only we write: each is replaced as a whole, on disk before the
// call returns.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::engine {

class Store {
 public:
  /// Makes the directory if it is missing. Refused when it belongs to somebody else or others may
  /// write to it.
  static Result<Store> open(const std::string& path, mode_t mode);
  /// Nothing if there is no such directory.
  static Result<std::optional<Store>> open_existing(const std::string& path);
  /// A directory in this one.
  Result<Store> open_inside(const std::string& name, mode_t mode) const;

  Result<std::optional<std::string>> read(const std::string& name) const;
  /// Replaces the file atomically and waits until it is on disk.
  Result<> write(const std::string& name, std::string_view text);
  Result<> remove(const std::string& name);  ///< no error if it is not there

  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }

 private:
  Store(Fd dir, std::string path) : dir_(std::move(dir)), path_(std::move(path)) {}
  static Result<Store> open_at(int at, const std::string& name, const std::string& path);

  Fd dir_;
  std::string path_;
};

}  // namespace lbctl::engine
