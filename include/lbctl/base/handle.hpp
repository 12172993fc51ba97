// Owners of what C gives: pointers with their free function, and file descriptors.
#pragma once

#include <unistd.h>

#include <memory>
#include <utility>

namespace lbctl {

template <auto Free>
struct FreeWith {
  void operator()(auto* p) const noexcept { Free(p); }
};

/// A C handle whose free function is part of its type.
template <class T, auto Free>
using CHandle = std::unique_ptr<T, FreeWith<Free>>;

/// A file descriptor, closed at the end of its life.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace lbctl
