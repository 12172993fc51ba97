#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (::geteuid() != 0) {
    std::puts("skipped: these tests make network namespaces and need root");
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
