#include "lbctl/base/result.hpp"

#include <fmt/format.h>

#include <cstring>

namespace lbctl {

Error Error::from_errno(int sys, std::string what) {
  Errc code = Errc::system;
  switch (sys) {
    case EPERM:
    case EACCES:
      code = Errc::permission;
      break;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case ENOSYS:
      code = Errc::unsupported;
      break;
    case ENOENT:
    case ESRCH:
    case ENODEV:
      code = Errc::not_found;
      break;
    case EBUSY:
      code = Errc::busy;
      break;
    default:
      break;
  }
  return Error(code, std::move(what), sys);
}

Error Error::during(std::string_view step) && {
  what_ = fmt::format("{}: {}", step, what_);
  return std::move(*this);
}

Error Error::kernel_said(std::string_view words) && {
  kernel_words_ = words;
  return std::move(*this);
}

Error Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

std::string Error::text() const {
  std::string out = what_;
  if (!kernel_words_.empty()) out += fmt::format(": kernel: \"{}\"", kernel_words_);
  if (sys_ != 0) {
    const char* name = strerrorname_np(sys_);
    out += fmt::format(": {} ({})", strerrordesc_np(sys_) ? strerrordesc_np(sys_) : "unknown error",
                       name ? name : fmt::to_string(sys_));
  }
  return out;
}

}  // namespace lbctl
