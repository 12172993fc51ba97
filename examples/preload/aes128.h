/* AES-128, enciphering only (FIPS 197), for connection IDs: a few an hour and connection, so it is
 * written to be short. The time that it takes depends on the key: not for other uses.
 */
#ifndef LBCTL_AES128_H
#define LBCTL_AES128_H

#include <stdint.h>
#include <string.h>

struct aes128 {
  uint8_t sbox[256];
  uint8_t round_keys[11][16];
};

static inline uint8_t aes128_double(uint8_t x) {
  return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static inline uint8_t aes128_rotate(uint8_t x, int bits) {
  return (uint8_t)(x << bits | x >> (8 - bits));
}

/* p walks through all values by multiplication with 3, q stays its inverse. */
static inline void aes128_make_sbox(uint8_t sbox[256]) {
  uint8_t p = 1, q = 1;
  do {
    p = (uint8_t)(p ^ aes128_double(p));
    q = (uint8_t)(q ^ q << 1);
    q = (uint8_t)(q ^ q << 2);
    q = (uint8_t)(q ^ q << 4);
    if (q & 0x80) q ^= 0x09;
    sbox[p] = (uint8_t)(q ^ aes128_rotate(q, 1) ^ aes128_rotate(q, 2) ^ aes128_rotate(q, 3) ^
                        aes128_rotate(q, 4) ^ 0x63);
  } while (p != 1);
  sbox[0] = 0x63;
}

static inline void aes128_init(struct aes128* aes, const uint8_t key[16]) {
  uint8_t constant = 1;
  int round, i;
  aes128_make_sbox(aes->sbox);
  memcpy(aes->round_keys[0], key, 16);
  for (round = 1; round <= 10; ++round) {
    const uint8_t* last = aes->round_keys[round - 1];
    uint8_t* next = aes->round_keys[round];
    for (i = 0; i < 4; ++i) next[i] = (uint8_t)(last[i] ^ aes->sbox[last[12 + (i + 1) % 4]]);
    next[0] ^= constant;
    constant = aes128_double(constant);
    for (i = 4; i < 16; ++i) next[i] = (uint8_t)(last[i] ^ next[i - 4]);
  }
}

static inline void aes128_mix(uint8_t column[4]) {
  const uint8_t first = column[0];
  const uint8_t all = (uint8_t)(column[0] ^ column[1] ^ column[2] ^ column[3]);
  int i;
  for (i = 0; i < 4; ++i) {
    const uint8_t next = i == 3 ? first : column[i + 1];
    column[i] = (uint8_t)(column[i] ^ all ^ aes128_double((uint8_t)(column[i] ^ next)));
  }
}

static inline void aes128_encipher(const struct aes128* aes, uint8_t block[16]) {
  uint8_t shifted[16];
  int round, i;
  for (i = 0; i < 16; ++i) block[i] ^= aes->round_keys[0][i];
  for (round = 1; round <= 10; ++round) {
    for (i = 0; i < 16; ++i) shifted[i] = aes->sbox[block[(i + 4 * (i % 4)) % 16]];
    for (i = 0; round < 10 && i < 16; i += 4) aes128_mix(shifted + i);
    for (i = 0; i < 16; ++i) block[i] = (uint8_t)(shifted[i] ^ aes->round_keys[round][i]);
  }
}

#endif
