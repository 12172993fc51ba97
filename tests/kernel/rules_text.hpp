// rules/*.nft beside what nft lists.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>

namespace lbctl::tests {

/// What counts of a ruleset's text: no comments, no empty lines, one space.
inline std::string essence(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = std::regex_replace(line.substr(0, line.find('#')), std::regex("\\s+"), " ");
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    out += line.substr(line.front() == ' ' ? 1 : 0) + "\n";
  }
  return out;
}

/// Of a file below rules/.
inline std::string essence_of_file(const std::string& name) {
  std::ifstream file(LBCTL_SOURCE_DIR "/rules/" + name);
  REQUIRE(file.good());
  return essence({std::istreambuf_iterator<char>(file), {}});
}

}  // namespace lbctl::tests
