#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <variant>

#include "lbctl/base/handle.hpp"
#include "lbctl/kernel/sysctl.hpp"
#include "text.hpp"

namespace lbctl::kernel {
namespace {

Error failed(int sys, const std::string& path, std::string_view verb) {
  // The file is there, the value is not.
  if (sys == ENOENT && path == "net/mptcp/scheduler" && verb.starts_with("set"))
    return Error(Errc::invalid, fmt::format("sysctl {}: {}", model::sysctl_name(path), verb), sys)
        .with_hint("no such scheduler is loaded: sysctl net.mptcp.available_schedulers");
  if (sys == ENOENT || sys == ENOTDIR) return sysctl::missing(path);
  const std::string what = fmt::format("sysctl {}: {}", model::sysctl_name(path), verb);
  if (sys == EINVAL || sys == ERANGE || sys == EISDIR) return Error(Errc::invalid, what, sys);
  Error error = Error::from_errno(sys, what);
  if (sys == EROFS)
    return std::move(error).with_hint(
        "/proc/sys is read-only here: a container, or a unit with ProtectKernelTunables");
  if (error.code() == Errc::permission)
    return std::move(error).with_hint("run as root (CAP_NET_ADMIN)");
  return error;
}

/// Below /proc/sys, nowhere else.
Result<Fd> open_below(const std::string& path, int flags, std::string_view verb) {
  if (!sysctl::safe_path(path))
    return fail(Errc::invalid, fmt::format("sysctl: \"{}\" is not a path below /proc/sys", path));
  Fd fd(::open(fmt::format("/proc/sys/{}", path).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail(failed(errno, path, verb));
  return fd;
}

Result<std::string> read_value(const std::string& path) {
  const auto fd = open_below(path, O_RDONLY, "read");
  if (!fd) return fail(fd.error());
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t got = ::read(fd->get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(failed(errno, path, "read"));
    if (got == 0) return sysctl::normalised(text);
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
}

Result<> write_value(const std::string& path, const std::string& value) {
  const std::string verb = fmt::format("set to \"{}\"", value);
  const auto fd = open_below(path, O_WRONLY, verb);
  if (!fd) return fail(fd.error());
  const std::string line = value + "\n";
  // In one write: the kernel takes each write for a whole value.
  const ssize_t put = ::write(fd->get(), line.data(), line.size());
  if (put < 0) return fail(failed(errno, path, verb));
  if (static_cast<std::size_t>(put) != line.size()) return fail(failed(EINVAL, path, verb));
  return {};
}

class SysctlBackend final : public Backend {
 public:
  model::Subsystem subsystem() const override { return model::Subsystem::sysctl; }

  Result<> observe(const model::Scope& scope, model::Observed& out) override {
    out.state.sysctls.clear();
    for (const std::string& path : scope.sysctls) {
      auto value = read_value(path);
      if (value) {
        out.state.sysctls[path] = std::move(*value);
      } else if (value.error().sys() != ENOENT) {
        return fail(std::move(value).error());
      }
    }
    return {};
  }

  Outcome execute(std::span<const model::Operation> run) override {
    Outcome outcome;
    for (const model::Operation& operation : run) {
      const auto* set = std::get_if<model::SetSysctl>(&operation.action);
      auto done =
          set != nullptr
              ? write_value(set->path, set->to)
              : Result<>(fail(Errc::invalid, fmt::format("sysctl: an operation for subsystem {}",
                                                         name(subsystem_of(operation.action)))));
      if (!done) {
        outcome.error = std::move(done).error();
        break;
      }
      ++outcome.done;
    }
    return outcome;
  }
};

}  // namespace

Result<std::unique_ptr<Backend>> open_sysctl() {
  return std::make_unique<SysctlBackend>();
}

}  // namespace lbctl::kernel
