// The text of the file and what is wrong with it. A Span is the currency of every stage: where in
// the text something stands; it becomes line and column only when something is reported.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/config/read.hpp"

namespace lbctl::config {

/// Octets of the text.
struct Span {
  std::size_t offset = 0;
  std::size_t length = 1;
};

/// The text with its lines; outlives every Span and Report made from it.
class Source {
 public:
  Source(std::string name, std::string_view text);

  const std::string& name() const { return name_; }
  std::string_view text() const { return text_; }
  std::string_view text(Span span) const { return text_.substr(span.offset, span.length); }
  /// The width ends with the line; a span of several lines is cut at the end of its first.
  Position position(Span span) const;
  /// From 1; without its line end.
  std::string_view line(int number) const;
  int line_of(std::size_t offset) const;
  /// Where that line starts; the end of the text for a line that does not exist.
  std::size_t start_of_line(std::size_t number) const;
  std::size_t lines() const { return line_starts_.size(); }

 private:
  std::string name_;
  std::string_view text_;
  std::vector<std::size_t> line_starts_;
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
  /// "line 12", for messages that point at a second place.
  std::string place(Span at) const;
  /// In the order of the file; equal remarks once; max_remarks at most.
  std::vector<Diagnostic> take();

  /// A file with more is not a configuration; the rest is counted, not kept.
  static constexpr std::size_t max_remarks = 1000;

 private:
  struct Remark {
    Diagnostic::Severity severity;
    Span at;
    std::string message;
    std::string hint;
    friend bool operator==(const Remark& a, const Remark& b) {
      return a.severity == b.severity && a.at.offset == b.at.offset && a.message == b.message;
    }
  };
  void add(Remark remark);

  const Source& source_;
  std::vector<Remark> remarks_;
  std::size_t errors_ = 0;
  std::size_t left_out_ = 0;
};

}  // namespace lbctl::config
