/* Preloaded into a QUIC server that draws its connection IDs from GnuTLS' or OpenSSL's random
 * source, gives them the server's id: see README.md.
 *
 * SPDX-License-Identifier: MIT
 *
 * A call for exactly LBCTL_CID_OCTETS random octets is taken for a new connection ID. Everything
 * else is passed on untouched. The environment is read before main(), since nginx clears it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lbctl/cid.h"

static struct lbctl_cid layout;
static uint8_t server_id[16];
static uint8_t key[16];
static size_t cid_octets; /* 0: not in use */

static void give_up(const char* what) {
  fprintf(stderr, "liblbctl-cid: %s: connection IDs stay random\n", what);
  cid_octets = 0;
}

/* A context for each call, for servers with threads: connection IDs are few. */
static void cipher(void* context, int decipher, uint8_t block[16]) {
  EVP_CIPHER_CTX* aes = EVP_CIPHER_CTX_new();
  int length;
  (void)decipher; /* connection IDs are only made here */
  if (!aes || !EVP_EncryptInit_ex(aes, EVP_aes_128_ecb(), NULL, context, NULL) ||
      !EVP_EncryptUpdate(aes, block, &length, block, 16))
    abort(); /* rather than an id that everybody can read */
  EVP_CIPHER_CTX_free(aes);
}

/* A number of the environment, at most `most`; -1 if it is none. */
static long number(const char* name, long otherwise, long most) {
  const char* text = getenv(name);
  char* end;
  long value;
  if (!text) return otherwise;
  value = strtol(text, &end, 10);
  return end != text && *end == '\0' && value >= 0 && value <= most ? value : -1;
}

static int read_scheme(void) {
  static const struct {
    const char* name;
    enum lbctl_cid_scheme scheme;
    uint8_t id_length, nonce_length;
  } schemes[] = {
      {"quic-lb", LBCTL_CID_QUIC_LB, 2, 6}, {"aws-nlb", LBCTL_CID_QUIC_LB, 8, 7},
      {"msquic", LBCTL_CID_MSQUIC, 4, 0},   {"katran", LBCTL_CID_KATRAN, 2, 0},
      {"dpvs", LBCTL_CID_DPVS, 3, 0},       {"raw", LBCTL_CID_RAW, 2, 0},
  };
  const char* name = getenv("LBCTL_CID_SCHEME");
  size_t i;
  for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); ++i) {
    if (strcmp(name ? name : "quic-lb", schemes[i].name) != 0) continue;
    layout.scheme = schemes[i].scheme;
    layout.id_length = (uint8_t)number("LBCTL_CID_ID_LENGTH", schemes[i].id_length, 15);
    layout.nonce_length = (uint8_t)number("LBCTL_CID_NONCE_LENGTH", schemes[i].nonce_length, 18);
    layout.config = (uint8_t)number("LBCTL_CID_CONFIG", 0, 6);
    layout.version = (uint8_t)number("LBCTL_CID_VERSION", 1, 3);
    layout.offset = (uint8_t)number("LBCTL_CID_OFFSET", 0, 19);
    return 1;
  }
  return 0;
}

/* A number, with dpvs the server's address; into network order. */
static int read_id(void) {
  const char* text = getenv("LBCTL_CID_ID");
  uint8_t octets[16] = {0};
  size_t used = 8, length, i;
  unsigned long long value;
  char* end;
  if (!text) return 0;
  if (layout.scheme == LBCTL_CID_DPVS) {
    const int v4 = inet_pton(AF_INET, text, octets) == 1;
    if (!v4 && inet_pton(AF_INET6, text, octets) != 1) return 0;
    layout.id_length = v4 ? 3 : 4;
    used = v4 ? 4 : 16;
  } else {
    value = strtoull(text, &end, 0);
    if (end == text || *end != '\0' || value == 0) return 0;
    for (i = 0; i < used; ++i)
      octets[used - 1 - i] = (uint8_t)(value >> (8 * i));
  }
  length = lbctl_cid_id_length(&layout);
  if (length > sizeof(server_id)) return 0;
  for (i = 0; i < length && i < used; ++i)
    server_id[length - 1 - i] = octets[used - 1 - i];
  return 1;
}

/* 32 hexadecimal digits, in a file that others can't read. */
static int read_key(const char* path) {
  FILE* file = fopen(path, "re");
  struct stat about;
  size_t i;
  unsigned octet;
  int whole = file != NULL && fstat(fileno(file), &about) == 0 &&
              (about.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) == 0;
  for (i = 0; whole && i < sizeof(key); ++i) {
    whole = fscanf(file, "%2x", &octet) == 1;
    key[i] = (uint8_t)octet;
  }
  if (file) fclose(file);
  return whole;
}

__attribute__((constructor)) static void read_environment(void) {
  const char* key_file = getenv("LBCTL_CID_KEY_FILE");
  const long octets = number("LBCTL_CID_OCTETS", 0, LBCTL_CID_LONGEST);
  size_t length;
  if (!getenv("LBCTL_CID_ID")) return; /* a program that the server starts, maybe */
  if (!read_scheme()) return give_up("LBCTL_CID_SCHEME is none that it knows");
  layout.length = (uint8_t)(octets > 0 ? octets : 0);
  if (!read_id()) return give_up("LBCTL_CID_ID is no server id");
  if (key_file && !read_key(key_file))
    return give_up("LBCTL_CID_KEY_FILE holds no key, or others may read it");
  if (key_file) {
    layout.aes = cipher;
    layout.context = key;
  }
  length = lbctl_cid_length(&layout);
  if (octets <= 0 || length == 0 || length > (size_t)octets)
    return give_up("no connection ID of LBCTL_CID_OCTETS is like that");
  layout.tell_length = length == (size_t)octets;
  cid_octets = (size_t)octets;
}

static void name_server(void* data, size_t length) {
  if (cid_octets != 0 && length == cid_octets) lbctl_cid_make(&layout, server_id, data);
}

/* GnuTLS; 0 is success. */
__attribute__((visibility("default"))) int gnutls_rnd(int level, void* data, size_t length) {
  typedef int function(int, void*, size_t);
  function* const next = (function*)dlsym(RTLD_NEXT, "gnutls_rnd");
  const int status = next ? next(level, data, length) : -1;
  if (status == 0) name_server(data, length);
  return status;
}

/* OpenSSL; 1 is success. */
__attribute__((visibility("default"))) int RAND_bytes(unsigned char* data, int length) {
  typedef int function(unsigned char*, int);
  function* const next = (function*)dlsym(RTLD_NEXT, "RAND_bytes");
  const int status = next ? next(data, length) : 0;
  if (status == 1 && length > 0) name_server(data, (size_t)length);
  return status;
}
