#include "source.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lbctl::config {

File::File(std::string name, std::string_view text, std::size_t base)
    : name_(std::move(name)), text_(text), base_(base) {
  line_starts_.push_back(0);
  for (std::size_t i = text_.find('\n'); i != std::string_view::npos; i = text_.find('\n', i + 1)) {
    line_starts_.push_back(i + 1);
  }
}

int File::line_of(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(line_starts_, offset);
  return static_cast<int>(after - line_starts_.begin());
}

std::size_t File::start_of_line(std::size_t number) const {
  return number >= 1 && number <= line_starts_.size() ? line_starts_[number - 1] : text_.size();
}

std::string_view File::line(int number) const {
  std::string_view line = text_.substr(start_of_line(static_cast<std::size_t>(number)));
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Position File::position(Span span) const {
  const std::size_t offset = std::min(span.offset, text_.size());
  const int number = line_of(offset);
  const std::size_t before = offset - line_starts_[static_cast<std::size_t>(number) - 1];
  const std::size_t length = line(number).size();
  const std::size_t room = length > before ? length - before : 0;
  const std::size_t width = std::max<std::size_t>(1, std::min(span.length, room));
  return {name_, number, static_cast<int>(before) + 1, static_cast<int>(width)};
}

const File& Source::add(std::string name, std::string_view text) {
  // The end of a text is a place, too: the next one starts behind it.
  const std::size_t base =
      files_.empty() ? 0 : files_.back().base() + files_.back().text().size() + 1;
  return files_.emplace_back(std::move(name), text, base);
}

const File& Source::file_of(Span span) const {
  const auto after = std::ranges::upper_bound(files_, span.offset, {}, &File::base);
  return *std::prev(after);  // the first starts at 0
}

std::string_view Source::text(Span span) const {
  const File& file = file_of(span);
  return file.text({span.offset - file.base(), span.length});
}

Position Source::position(Span span) const {
  const File& file = file_of(span);
  return file.position({span.offset - file.base(), span.length});
}

std::string_view Source::line(Span span) const {
  const File& file = file_of(span);
  return file.line(file.line_of(span.offset - file.base()));
}

void Report::add(Remark remark) {
  if (remark.severity == Diagnostic::Severity::error) ++errors_;
  if (remarks_.contains(remark)) return;
  if (remarks_.size() < max_remarks) {
    remarks_.insert(std::move(remark));
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
  const Position position = source_.position(at);
  return source_.files().size() > 1 ? fmt::format("{}:{}", position.file, position.line)
                                    : fmt::format("line {}", position.line);
}

std::vector<Diagnostic> Report::take() {
  std::vector<Diagnostic> out;
  for (const Remark& remark : remarks_) {
    const Position position = source_.position(remark.at);
    out.push_back({remark.severity, position.file, position.line, position.column, position.width,
                   remark.message, remark.hint, std::string(source_.line(remark.at))});
  }
  if (left_out_ > 0) {
    out.push_back({has_errors() ? Diagnostic::Severity::error : Diagnostic::Severity::warning,
                   source_.files().front().name(),
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
