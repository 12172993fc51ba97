// Errors as values. A failed kernel call is ordinary for lbctl, and `apply` must be able to
// report half-done work, so nothing here throws.
#pragma once

#include <cerrno>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace lbctl {

/// What kind of failure it is; decides the hint and the exit status, never the wording.
enum class Errc : std::uint8_t {
  invalid,      ///< input (an argument, a file, a message from the kernel) that makes no sense
  unsupported,  ///< this kernel lacks the feature
  permission,   ///< a capability is missing
  not_found,    ///< the object named is not there
  conflict,     ///< the object is there, but it is not lbctl's
  busy,         ///< somebody else holds the lock
  system,       ///< any other failed system call; sys() holds the errno
};

/// A failure with the step under way, the errno of the kernel and, where one is known, a mend.
class Error {
 public:
  Error(Errc code, std::string what, int sys = 0)
      : code_(code), sys_(sys), what_(std::move(what)) {}

  /// The failure of a system call: takes its code from `sys` (an errno value).
  static Error from_errno(int sys, std::string what);

  /// Adds the step under way; the outermost step ends up first: "apply: add service: …".
  [[nodiscard]] Error during(std::string_view step) &&;
  /// Adds the kernel's own words (extended ack).
  [[nodiscard]] Error kernel_said(std::string_view words) &&;
  [[nodiscard]] Error with_hint(std::string hint) &&;

  Errc code() const { return code_; }
  /// errno, 0 if the failure did not come from a system call.
  int sys() const { return sys_; }
  /// One line without the hint: steps, what, the kernel's words, errno in words and as a name.
  std::string text() const;
  /// What mends it, such as "modprobe ip_vs"; empty if nothing is known.
  const std::string& hint() const { return hint_; }

 private:
  Errc code_;
  int sys_ = 0;
  std::string what_;
  std::string kernel_words_;
  std::string hint_;
};

/// A class, not an alias: an alias would lose [[nodiscard]].
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

/// Shorthand for the failing return: `return fail(Errc::invalid, "…")`.
inline std::unexpected<Error> fail(Errc code, std::string what, int sys = 0) {
  return std::unexpected(Error(code, std::move(what), sys));
}
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}
/// `return fail_errno("open /run/lbctl")`: reads errno.
inline std::unexpected<Error> fail_errno(std::string what, int sys = errno) {
  return std::unexpected(Error::from_errno(sys, std::move(what)));
}

}  // namespace lbctl
