// Fuzzes what `lbctl explain --live` reads: the input is a frame off the network.
#include <cstddef>
#include <cstdint>

#include "lbctl/explain/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto frame = lbctl::explain::read_frame({data, size});
  if (frame && frame->cid && frame->cid->size() > 255) __builtin_trap();
  return 0;
}
