// AES-128 (FIPS 197), one block at a time: for connection IDs, not for bulk data. Not constant in
// time: whoever can measure this process holds the key file anyway.
#pragma once

#include <array>
#include <cstdint>

namespace lbctl {

/// Overwrites what must not stay in memory, in a way that the compiler keeps.
void wipe(void* memory, std::size_t size) noexcept;

/// A key schedule; wiped when it goes.
class Aes128 {
 public:
  using Block = std::array<std::uint8_t, 16>;
  /// 44 words, the first octet of each in its high place.
  using RoundKeys = std::array<std::uint32_t, 44>;

  explicit Aes128(const Block& key);
  Aes128(const Aes128&) = default;
  Aes128& operator=(const Aes128&) = default;
  ~Aes128() { wipe(keys_.data(), sizeof keys_); }

  Block encrypt(const Block& block) const;
  Block decrypt(const Block& block) const;

  const RoundKeys& round_keys() const { return keys_; }
  /// Those of the equivalent inverse cipher (FIPS 197, 5.3.5), in the order of their use.
  RoundKeys inverse_round_keys() const;

 private:
  RoundKeys keys_{};
};

}  // namespace lbctl
