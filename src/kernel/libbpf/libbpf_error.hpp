// What libbpf and the verifier have to say about a failure.
#pragma once

#include <bpf/libbpf.h>

#include <string>
#include <string_view>

#include "lbctl/base/result.hpp"

namespace lbctl::kernel {

/// Collects this thread's libbpf warnings while it lives, instead of having them printed.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  const std::string& text() const { return text_; }

 private:
  static int collect(libbpf_print_level level, const char* format, va_list arguments);
  static thread_local LibbpfLog* current;

  std::string text_;
  libbpf_print_fn_t previous_;
};

/// The last lines of a log that say why, in one line; without the verifier's closing statistics.
std::string last_words(std::string_view log);

/// The failure of a BPF system call or of libbpf (`sys` may be negative), with a hint where the
/// cause is usual.
Error bpf_error(int sys, std::string what);

}  // namespace lbctl::kernel
