// /etc/systemd/system, as far as lbctl's drop-ins in it go.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/handle.hpp"
#include "lbctl/base/result.hpp"

namespace lbctl::kernel::units {

/// What stands in the place of a unit's drop-in.
struct Found {
  std::string unit;
  std::optional<std::string> text;  ///< nothing: no plain file (a link, a folder)
};

class Folder {
 public:
  /// Nothing is made: a machine without systemd may lack it.
  explicit Folder(const std::string& root) : path_(root + "/etc/systemd/system") {}

  Result<std::vector<Found>> list() const;
  Result<std::optional<Found>> find(const std::string& unit) const;
  /// Replaces the file atomically, on disk when the call returns; makes the folders.
  Result<> write(const std::string& unit, std::string_view text) const;
  /// The file, and its folder if nothing else is in it.
  Result<> remove(const std::string& unit) const;

 private:
  /// Nothing if it is not there. No link is followed: root would write wherever one leads.
  Result<Fd> open_unit(const std::string& unit) const;
  std::string path_;
};

}  // namespace lbctl::kernel::units
