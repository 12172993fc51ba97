#include "lbctl/base/result.hpp"

#include <doctest/doctest.h>

using lbctl::Errc;
using lbctl::Error;

TEST_CASE("error: the outermost step comes first, then the kernel's words, then the errno") {
  const Error error = Error::from_errno(ENOENT, "add destination 10.0.0.5:80")
                          .kernel_said("service not found")
                          .during("apply");
  CHECK(error.text() ==
        "apply: add destination 10.0.0.5:80: kernel: \"service not found\": "
        "No such file or directory (ENOENT)");
  CHECK(error.code() == Errc::not_found);
}

TEST_CASE("error: the code follows the errno") {
  CHECK(Error::from_errno(EPERM, "x").code() == Errc::permission);
  CHECK(Error::from_errno(EOPNOTSUPP, "x").code() == Errc::unsupported);
  CHECK(Error::from_errno(EINVAL, "x").code() == Errc::system);
}
