#include "source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace lbctl::config {

Source::Source(std::string name, std::string_view text) : name_(std::move(name)), text_(text) {
  line_starts_.push_back(0);
  for (std::size_t i = text_.find('\n'); i != std::string_view::npos; i = text_.find('\n', i + 1)) {
    line_starts_.push_back(i + 1);
  }
}

int Source::line_of(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(line_starts_, offset);
  return static_cast<int>(after - line_starts_.begin());
}

std::size_t Source::start_of_line(std::size_t number) const {
  return number >= 1 && number <= line_starts_.size() ? line_starts_[number - 1] : text_.size();
}

std::string_view Source::line(int number) const {
  std::string_view line = text_.substr(start_of_line(static_cast<std::size_t>(number)));
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Position Source::position(Span span) const {
  const std::size_t offset = std::min(span.offset, text_.size());
  const int number = line_of(offset);
  const std::size_t before = offset - line_starts_[static_cast<std::size_t>(number) - 1];
  const std::size_t length = line(number).size();
  const std::size_t room = length > before ? length - before : 0;
  const std::size_t width = std::max<std::size_t>(1, std::min(span.length, room));
  return {name_, number, static_cast<int>(before) + 1, static_cast<int>(width)};
}

void Report::add(Remark remark) {
  if (remark.severity == Diagnostic::Severity::error) ++errors_;
  if (remarks_.size() < max_remarks) {
    remarks_.push_back(std::move(remark));
  } else {
    ++left_out_;
  }
}

void Report::error(Span at, std::string message, std::string hint) {
  add({Diagnostic::Severity::error, at, std::move(message), std::move(hint)});
}

void Report::warning(Span at, std::string message, std::string hint) {
  add({Diagnostic::Severity::warning, at, std::move(message), std::move(hint)});
}

std::string Report::place(Span at) const {
  return fmt::format("line {}", source_.line_of(at.offset));
}

std::vector<Diagnostic> Report::take() {
  std::ranges::sort(remarks_, {}, [](const Remark& remark) {
    return std::tie(remark.at.offset, remark.message, remark.severity);
  });
  const auto [first, last] = std::ranges::unique(remarks_);
  remarks_.erase(first, last);

  std::vector<Diagnostic> out;
  for (Remark& remark : remarks_) {
    const Position position = source_.position(remark.at);
    out.push_back({remark.severity, position.file, position.line, position.column, position.width,
                   std::move(remark.message), std::move(remark.hint),
                   std::string(source_.line(position.line))});
  }
  if (left_out_ > 0) {
    out.push_back({has_errors() ? Diagnostic::Severity::error : Diagnostic::Severity::warning,
                   source_.name(),
                   0,
                   0,
                   0,
                   fmt::format("{} further remarks left out", left_out_),
                   {},
                   {}});
  }
  remarks_.clear();
  return out;
}

}  // namespace lbctl::config
