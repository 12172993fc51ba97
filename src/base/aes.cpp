#include "lbctl/base/aes.hpp"

#include <string.h>

#include <bit>

namespace lbctl {
namespace {

constexpr std::uint8_t times2(std::uint8_t x) {
  return static_cast<std::uint8_t>((x << 1) ^ ((x & 0x80) != 0 ? 0x1b : 0));
}

constexpr std::uint8_t product(std::uint8_t a, std::uint8_t b) {
  std::uint8_t out = 0;
  for (; b != 0; b = static_cast<std::uint8_t>(b >> 1), a = times2(a))
    if ((b & 1) != 0) out = static_cast<std::uint8_t>(out ^ a);
  return out;
}

using Box = std::array<std::uint8_t, 256>;

/// The multiplicative inverse (x^254), then the affine map.
constexpr Box make_box() {
  Box out{};
  for (unsigned x = 0; x < out.size(); ++x) {
    std::uint8_t inverse = 1;
    for (int i = 0; i < 254; ++i)
      inverse = product(inverse, static_cast<std::uint8_t>(x));
    std::uint8_t value = 0x63;
    for (int i = 0; i < 5; ++i)
      value = static_cast<std::uint8_t>(value ^ std::rotl(inverse, i));
    out[x] = value;
  }
  return out;
}

constexpr Box make_inverse(const Box& box) {
  Box out{};
  for (unsigned x = 0; x < out.size(); ++x)
    out[box[x]] = static_cast<std::uint8_t>(x);
  return out;
}

/// Every octet times `factor`.
constexpr Box make_multiples(std::uint8_t factor) {
  Box out{};
  for (unsigned x = 0; x < out.size(); ++x)
    out[x] = product(static_cast<std::uint8_t>(x), factor);
  return out;
}

constexpr std::array<Box, 16> make_all_multiples() {
  std::array<Box, 16> out{};
  for (std::uint8_t factor = 0; factor < out.size(); ++factor)
    out[factor] = make_multiples(factor);
  return out;
}

constinit const Box box = make_box();
constinit const std::array<Box, 16> multiples = make_all_multiples();  ///< by factor
constinit const Box inverse_box = make_inverse(make_box());

constexpr std::uint8_t octet(std::uint32_t word, unsigned place) {
  return static_cast<std::uint8_t>(word >> (24 - 8 * place));
}

std::uint32_t substitute(std::uint32_t word) {
  std::uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i)
    out = out << 8 | box[octet(word, i)];
  return out;
}

using State = Aes128::Block;

void add_key(State& state, const std::uint32_t* key) {
  for (unsigned i = 0; i < state.size(); ++i)
    state[i] = static_cast<std::uint8_t>(state[i] ^ octet(key[i / 4], i % 4));
}

/// Row r of the columns moves by r places, to the left or back.
State shift_rows(const State& state, bool back) {
  State out;
  for (unsigned i = 0; i < state.size(); ++i) {
    const unsigned row = i % 4;
    const unsigned from = (i + 4 * (back ? 16 - row : row)) % 16;
    out[i] = state[from];
  }
  return out;
}

/// Each column times the matrix whose first row is given; the others are it, rotated.
State mix_columns(const State& state, const std::array<std::uint8_t, 4>& row) {
  State out{};
  for (unsigned i = 0; i < state.size(); ++i)
    for (unsigned j = 0; j < 4; ++j)
      out[i] = static_cast<std::uint8_t>(out[i] ^
                                         multiples[row[(4 + j - i % 4) % 4]][state[i / 4 * 4 + j]]);
  return out;
}

constexpr std::array<std::uint8_t, 4> forward_row{2, 3, 1, 1}, inverse_row{14, 11, 13, 9};

void substitute(State& state, const Box& with) {
  for (std::uint8_t& one : state)
    one = with[one];
}

std::uint32_t inverse_mix(std::uint32_t word) {
  State column{};
  for (unsigned i = 0; i < 4; ++i)
    column[i] = octet(word, i);
  column = mix_columns(column, inverse_row);
  std::uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i)
    out = out << 8 | column[i];
  return out;
}

constexpr unsigned rounds = 10;

}  // namespace

void wipe(void* memory, std::size_t size) noexcept {
  explicit_bzero(memory, size);
}

Aes128::Aes128(const Block& key) {
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned j = 0; j < 4; ++j)
      keys_[i] = keys_[i] << 8 | key[4 * i + j];
  std::uint8_t constant = 1;
  for (unsigned i = 4; i < keys_.size(); ++i) {
    std::uint32_t word = keys_[i - 1];
    if (i % 4 == 0) {
      word = substitute(std::rotl(word, 8)) ^ static_cast<std::uint32_t>(constant) << 24;
      constant = times2(constant);
    }
    keys_[i] = keys_[i - 4] ^ word;
  }
}

Aes128::Block Aes128::encrypt(const Block& block) const {
  State state = block;
  add_key(state, keys_.data());
  for (unsigned round = 1; round <= rounds; ++round) {
    substitute(state, box);
    state = shift_rows(state, false);
    if (round < rounds) state = mix_columns(state, forward_row);
    add_key(state, &keys_[4 * round]);
  }
  return state;
}

Aes128::Block Aes128::decrypt(const Block& block) const {
  State state = block;
  for (unsigned round = rounds; round >= 1; --round) {
    add_key(state, &keys_[4 * round]);
    if (round < rounds) state = mix_columns(state, inverse_row);
    state = shift_rows(state, true);
    substitute(state, inverse_box);
  }
  add_key(state, keys_.data());
  return state;
}

Aes128::RoundKeys Aes128::inverse_round_keys() const {
  RoundKeys out;
  for (unsigned round = 0; round <= rounds; ++round)
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint32_t word = keys_[4 * (rounds - round) + i];
      out[4 * round + i] = round == 0 || round == rounds ? word : inverse_mix(word);
    }
  return out;
}

}  // namespace lbctl
