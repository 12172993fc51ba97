// The file and its fragments as they lie on the disk.
#pragma once

#include <string>
#include <vector>

#include "lbctl/config/read.hpp"

namespace lbctl::config {

struct Folder {
  struct Text {
    std::string name;
    std::string text;
  };
  std::vector<Text> texts;              ///< the file first, then its fragments by name
  std::vector<Diagnostic> diagnostics;  ///< what can't be read, and what is odd about the files
  bool whole = true;                    ///< all that is there was read
};

Folder read_folder(const std::string& path);

}  // namespace lbctl::config
