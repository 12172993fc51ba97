/* QUIC connection IDs that name their server, for authors of QUIC servers: makes them, and reads
 * them as lbctl does. One header, C99 or C++, no library; AES-128 is the caller's (a few lines with
 * any crypto library) and is only needed where connection IDs are encrypted.
 *
 * SPDX-License-Identifier: MIT
 *
 *	struct lbctl_cid layout = {.scheme = LBCTL_CID_QUIC_LB, .id_length = 2, .nonce_length = 6};
 *	uint8_t id[2] = {0, 5}, cid[LBCTL_CID_LONGEST];
 *	size_t length = lbctl_cid_length(&layout);
 *	fill_with_random(cid, length);
 *	lbctl_cid_make(&layout, id, cid);
 *
 * Server ids are octets in network order here: lbctl_cid_id_length() of them.
 */
#ifndef LBCTL_CID_H
#define LBCTL_CID_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LBCTL_CID_LONGEST 20 /* octets: RFC 9000, 17.2 */

enum lbctl_cid_scheme {
  LBCTL_CID_QUIC_LB, /* draft-ietf-quic-load-balancers-21; AWS NLB: config 0, an id of 8 octets */
  LBCTL_CID_MSQUIC,  /* its mode FIXED; the id of 4 octets stands reversed */
  LBCTL_CID_KATRAN,  /* mvfst */
  LBCTL_CID_DPVS,    /* the last 3 octets of the server's IPv4 address, or the last 4 of its IPv6 */
  LBCTL_CID_RAW      /* an id at a fixed place */
};

/* Enciphers one block in place with AES-128, or deciphers it. */
typedef void lbctl_cid_aes(void* context, int decipher, uint8_t block[16]);

/* Lengths in octets; what a scheme does not name it does not look at. */
struct lbctl_cid {
  enum lbctl_cid_scheme scheme;
  uint8_t config;       /* quic-lb: 0..6 */
  uint8_t id_length;    /* quic-lb: 1..15; raw: 1..8; dpvs: 3 or 4 */
  uint8_t nonce_length; /* quic-lb: 4..18; 1 + id_length + nonce_length <= 20 */
  uint8_t version;      /* katran: 1..3 */
  uint8_t offset;       /* raw: octets before the id */
  uint8_t length;       /* raw: of the connection ID */
  uint8_t tell_length;  /* quic-lb: not 0: the first octet tells the length, else it is random */
  lbctl_cid_aes* aes;   /* quic-lb: NULL: plain */
  void* context;        /* for it */
};

/* Octets of a connection ID; 0 if the layout is impossible. */
static inline size_t lbctl_cid_length(const struct lbctl_cid* layout) {
  size_t length = 0;
  switch (layout->scheme) {
    case LBCTL_CID_QUIC_LB:
      if (layout->config > 6 || layout->id_length < 1 || layout->id_length > 15 ||
          layout->nonce_length < 4)
        return 0;
      length = 1u + layout->id_length + layout->nonce_length;
      break;
    case LBCTL_CID_MSQUIC:
      length = 14;
      break;
    case LBCTL_CID_KATRAN:
      if (layout->version >= 1 && layout->version <= 3) length = 8;
      break;
    case LBCTL_CID_DPVS: /* 12 bits, the address, a nonce of 32 bits and some */
      if (layout->id_length == 3 || layout->id_length == 4) length = 6u + layout->id_length;
      break;
    case LBCTL_CID_RAW:
      if (layout->id_length >= 1 && layout->id_length <= 8 &&
          layout->offset + layout->id_length <= layout->length)
        length = layout->length;
      break;
  }
  return length <= LBCTL_CID_LONGEST ? length : 0;
}

/* Octets of a server id. */
static inline size_t lbctl_cid_id_length(const struct lbctl_cid* layout) {
  if (layout->scheme == LBCTL_CID_MSQUIC) return 4;
  if (layout->scheme == LBCTL_CID_KATRAN) return 1u + layout->version;
  return layout->id_length;
}

/* One of QUIC-LB's four passes over `length` octets: one half is the input of AES, the output is
 * xored into the other. The halves of an odd length share the middle octet: a nibble each.
 */
static inline void lbctl_cid_pass(const struct lbctl_cid* layout, uint8_t* block, size_t length,
                                  int pass) {
  const size_t half = (length + 1) / 2, right = length / 2;
  const int odd = length % 2 != 0, from_left = pass % 2 != 0;
  const size_t from = from_left ? 0 : right, into = from_left ? right : 0;
  uint8_t cipher[16];
  size_t i;
  memset(cipher, 0, sizeof(cipher));
  memcpy(cipher, block + from, half);
  if (odd) cipher[from_left ? half - 1 : 0] &= from_left ? 0xf0 : 0x0f;
  cipher[14] = (uint8_t)length;
  cipher[15] = (uint8_t)pass;
  layout->aes(layout->context, 0, cipher);
  if (odd) cipher[from_left ? 0 : half - 1] &= from_left ? 0x0f : 0xf0;
  for (i = 0; i < half; ++i) block[into + i] ^= cipher[i];
}

/* The octets of quic-lb behind the first one. */
static inline void lbctl_cid_cipher(const struct lbctl_cid* layout, uint8_t* block, int decipher) {
  const size_t length = (size_t)layout->id_length + layout->nonce_length;
  int pass;
  if (!layout->aes) return;
  if (length == 16) {
    layout->aes(layout->context, decipher, block);
    return;
  }
  for (pass = 1; pass <= 4; ++pass)
    lbctl_cid_pass(layout, block, length, decipher ? 5 - pass : pass);
}

/* Makes a connection ID of this server in `cid`, which holds lbctl_cid_length() octets, or more: of
 * quic-lb the further ones are left as they are. All octets must have been filled with random
 * ones by the caller; those that the scheme does not claim stay. For an encrypted quic-lb ID the
 * nonce (the last nonce_length octets) must not have been used with this key and id before.
 *
 * Returns the length; 0, and `cid` is unchanged, if the layout is impossible.
 */
static inline size_t lbctl_cid_make(const struct lbctl_cid* layout, const uint8_t* id,
                                    uint8_t* cid) {
  const size_t length = lbctl_cid_length(layout), id_length = lbctl_cid_id_length(layout);
  size_t i;
  if (length == 0) return 0;
  switch (layout->scheme) {
    case LBCTL_CID_QUIC_LB:
      cid[0] = (uint8_t)(layout->config << 5 |
                         (layout->tell_length ? (uint8_t)(length - 1) : cid[0] & 0x1f));
      memcpy(cid + 1, id, id_length);
      lbctl_cid_cipher(layout, cid + 1, 0);
      break;
    case LBCTL_CID_MSQUIC:
      for (i = 0; i < id_length; ++i) cid[1 + i] = id[id_length - 1 - i];
      break;
    case LBCTL_CID_KATRAN:
      cid[0] = (uint8_t)(layout->version << 6 | (cid[0] & 0x3f));
      if (layout->version == 1) { /* from bit 2 on */
        cid[0] = (uint8_t)(0x40 | id[0] >> 2);
        cid[1] = (uint8_t)(id[0] << 6 | id[1] >> 2);
        cid[2] = (uint8_t)(id[1] << 6 | (cid[2] & 0x3f));
      } else {
        memcpy(cid + 1, id, id_length);
      }
      break;
    case LBCTL_CID_DPVS: /* from bit 12 on */
      cid[1] = (uint8_t)((id_length - 1) << 5 | (cid[1] & 0x10) | id[0] >> 4);
      for (i = 0; i + 1 < id_length; ++i) cid[2 + i] = (uint8_t)(id[i] << 4 | id[i + 1] >> 4);
      cid[1 + id_length] = (uint8_t)(id[id_length - 1] << 4 | (cid[1 + id_length] & 0x0f));
      break;
    case LBCTL_CID_RAW:
      memcpy(cid + layout->offset, id, id_length);
      break;
  }
  return length;
}

/* Reads the server id of a connection ID of `length` octets into `id`. Returns its length in
 * octets; 0 if the connection ID is not of this layout.
 */
static inline size_t lbctl_cid_read(const struct lbctl_cid* layout, const uint8_t* cid,
                                    size_t length, uint8_t* id) {
  const size_t least = lbctl_cid_length(layout), id_length = lbctl_cid_id_length(layout);
  uint8_t block[LBCTL_CID_LONGEST];
  size_t i;
  if (least == 0 || length < least) return 0;
  switch (layout->scheme) {
    case LBCTL_CID_QUIC_LB:
      if (cid[0] >> 5 != layout->config) return 0;
      memcpy(block, cid + 1, least - 1);
      lbctl_cid_cipher(layout, block, 1);
      memcpy(id, block, id_length);
      break;
    case LBCTL_CID_MSQUIC:
      for (i = 0; i < id_length; ++i) id[i] = cid[id_length - i];
      break;
    case LBCTL_CID_KATRAN:
      if (cid[0] >> 6 != layout->version) return 0;
      memcpy(id, cid + 1, id_length);
      if (layout->version == 1) {
        id[0] = (uint8_t)(cid[0] << 2 | cid[1] >> 6);
        id[1] = (uint8_t)(cid[1] << 2 | cid[2] >> 6);
      }
      break;
    case LBCTL_CID_DPVS:
      if (cid[1] >> 5 != (int)id_length - 1) return 0;
      for (i = 0; i < id_length; ++i) id[i] = (uint8_t)(cid[1 + i] << 4 | cid[2 + i] >> 4);
      break;
    case LBCTL_CID_RAW:
      memcpy(id, cid + layout->offset, id_length);
      break;
  }
  return id_length;
}

#ifdef __cplusplus
}
#endif

#endif
