#include "libbpf/libbpf_error.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace lbctl::kernel {

thread_local LibbpfLog* LibbpfLog::current = nullptr;

LibbpfLog::LibbpfLog() : previous_(libbpf_set_print(&LibbpfLog::collect)) {
  current = this;
}

LibbpfLog::~LibbpfLog() {
  current = nullptr;
  libbpf_set_print(previous_);
}

int LibbpfLog::collect(libbpf_print_level level, const char* format, va_list arguments) {
  if (current == nullptr || level != LIBBPF_WARN) return 0;
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  current->text_ += line;
  return length;
}

std::string last_words(std::string_view log) {
  constexpr std::size_t lines_kept = 2;
  std::vector<std::string_view> lines;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    if (!line.empty() && !line.starts_with("processed ") && !line.starts_with("-- "))
      lines.push_back(line);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
  }
  std::string out;
  for (std::size_t i = lines.size() > lines_kept ? lines.size() - lines_kept : 0; i < lines.size();
       ++i)
    out += (out.empty() ? "" : "; ") + std::string(lines[i]);
  return out;
}

Error bpf_error(int sys, std::string what) {
  sys = std::abs(sys);
  Error error = Error::from_errno(sys, std::move(what));
  switch (sys) {
    case EPERM:
    case EACCES:
      return std::move(error).with_hint(
          "run it as root: BPF needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
    case ENOSYS:
      return std::move(error).with_hint(
          "this kernel has no BPF: it needs CONFIG_BPF_SYSCALL and CONFIG_BPF_JIT");
    default:
      return error;
  }
}

}  // namespace lbctl::kernel
