// The texts of the configuration and what is wrong with them. A Span is the currency of every
// stage: where something stands; it becomes file, line and column only when something is reported.
#pragma once

#include <cstddef>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "lbctl/config/read.hpp"

namespace lbctl::config {

/// Octets, counted through all files in their order.
struct Span {
  std::size_t offset = 0;
  std::size_t length = 1;
};

/// One file: its text with its lines. Spans count from its own start here; `base` is what makes
/// them count through all files.
class File {
 public:
  File(std::string name, std::string_view text, std::size_t base = 0);

  const std::string& name() const { return name_; }
  std::string_view text() const { return text_; }
  std::string_view text(Span span) const { return text_.substr(span.offset, span.length); }
  std::size_t base() const { return base_; }
  Span in_all(Span span) const { return {span.offset + base_, span.length}; }
  /// The width ends with the line; a span of several lines is cut at the end of its first.
  Position position(Span span) const;
  /// From 1; without its line end.
  std::string_view line(int number) const;
  int line_of(std::size_t offset) const;
  /// Where that line starts; the end of the text for a line that does not exist.
  std::size_t start_of_line(std::size_t number) const;

 private:
  std::string name_;
  std::string_view text_;
  std::size_t base_;
  std::vector<std::size_t> line_starts_;
};

/// All files; outlives every Span and Report made from it. The texts outlive it.
class Source {
 public:
  Source() = default;
  Source(std::string name, std::string_view text) { add(std::move(name), text); }

  const File& add(std::string name, std::string_view text);

  const std::deque<File>& files() const { return files_; }
  /// The file that the octet stands in, or the last one.
  const File& file_of(Span span) const;
  std::string_view text(Span span) const;
  Position position(Span span) const;
  std::string_view line(Span span) const;

 private:
  std::deque<File> files_;  ///< not moved: others keep references
};

/// Collects what every stage finds, so that all errors come at once.
class Report {
 public:
  explicit Report(const Source& source) : source_(source) {}

  void error(Span at, std::string message, std::string hint = {});
  void warning(Span at, std::string message, std::string hint = {});

  const Source& source() const { return source_; }
  bool has_errors() const { return errors_ != 0; }
  std::size_t errors() const { return errors_; }
  /// Further remarks are only counted: no need to look for good hints.
  bool full() const { return remarks_.size() >= max_remarks; }
  /// A file could not be read: whatever seems to be missing may stand there.
  void set_partial() { partial_ = true; }
  bool partial() const { return partial_; }
  /// "line 12", for messages that point at a second place; with its file if there are several.
  std::string place(Span at) const;
  /// In the order of the files; equal remarks once; max_remarks at most.
  std::vector<Diagnostic> take();

  /// A file with more is not a configuration; the rest is counted, not kept.
  static constexpr std::size_t max_remarks = 1000;

 private:
  struct Remark {
    Diagnostic::Severity severity;
    Span at;
    std::string message;
    std::string hint;
    /// Equal ones arise where tables share a default.
    auto key() const { return std::tie(at.offset, message, severity); }
    friend bool operator<(const Remark& a, const Remark& b) { return a.key() < b.key(); }
  };
  void add(Remark remark);

  const Source& source_;
  std::set<Remark> remarks_;
  std::size_t errors_ = 0;
  std::size_t left_out_ = 0;
  bool partial_ = false;
};

}  // namespace lbctl::config
