/* SPDX-License-Identifier: GPL-2.0 */
/* From a connection ID to a server id. No map and no helper: the same text is
 * compiled for the kernel and, by the tests, for user space.
 */
#ifndef LBCTL_CID_DECODE_H
#define LBCTL_CID_DECODE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>

#include "quic_steer.h"
#include "aes_tables.h"

/* The longest connection ID there is, copied out of the packet; and zeros up to
 * where a half could end, had it 15 octets before it.
 */
struct qs_cid {
	__u8 octet[QS_MAX_CID_LEN + 8];
} __attribute__((aligned(8)));

/* Half of a block that is enciphered in four passes: at most 10 octets, the
 * first 8 and then 2, as numbers.
 */
struct qs_half {
	__u64 front;
	__u64 back;
};

/* An AES state: its columns, the first octet of each in the high place. */
struct qs_block {
	__u32 column[4];
};

/* @sum ^= the octet of @word that @shift brings down, looked up in the @row'th
 * table. All tables stand behind one address, and the octet is made an offset at
 * once. Written out for the kernel: clang computes the address of each table
 * apart and keeps them, and half of the sums, on the stack.
 */
#ifdef __bpf__
#define QS_LOOK_UP(sum, tables, row, word, move)                                         \
	do {                                                                             \
		__u64 found;                                                             \
		asm volatile("%1 = %2\n\t%1 " move "\n\t%1 &= 0x3fc\n\t%1 += %3\n\t"     \
			     "%1 = *(u32 *)(%1 + %4)\n\t%0 ^= %1"                        \
			     : "+r"(sum), "=&r"(found)                                   \
			     : "r"(word), "r"(tables), "i"(1024 * (row)));               \
	} while (0)
#define QS_RIGHT(by) ">>= " #by
#define QS_LEFT(by)  "<<= " #by
#else
#define QS_LOOK_UP(sum, tables, row, word, move)                                         \
	((sum) ^=                                                                        \
	 *(const __u32 *)((const __u8 *)(tables) + ((word)move & 0x3fc) + 1024 * (row)))
#define QS_RIGHT(by) >> by
#define QS_LEFT(by)  << by
#endif

/* One column of a round; @a to @d: the columns that its four octets come from. */
static __always_inline __u64 qs_column(const __u32 *tables, __u64 a, __u64 b, __u64 c,
				       __u64 d, __u32 key)
{
	__u64 sum = key;

	QS_LOOK_UP(sum, tables, 0, a, QS_RIGHT(22));
	QS_LOOK_UP(sum, tables, 1, b, QS_RIGHT(14));
	QS_LOOK_UP(sum, tables, 2, c, QS_RIGHT(6));
	QS_LOOK_UP(sum, tables, 3, d, QS_LEFT(2));
	return sum;
}

/* The same of the last round. */
static __always_inline __u32 qs_last_column(const __u32 *tables, __u64 a, __u64 b,
					    __u64 c, __u64 d, __u32 key)
{
	__u64 first = 0, second = 0, third = 0, sum = key;

	QS_LOOK_UP(first, tables, 4, a, QS_RIGHT(22));
	QS_LOOK_UP(second, tables, 4, b, QS_RIGHT(14));
	QS_LOOK_UP(third, tables, 4, c, QS_RIGHT(6));
	QS_LOOK_UP(sum, tables, 4, d, QS_LEFT(2));
	return (__u32)(first << 24 ^ second << 16 ^ third << 8 ^ sum);
}

/* AES-128 over @block with the round keys in the order of their use. The two
 * directions differ in their tables, and in which way the rows are shifted:
 * the octets of a column come from those at its right or at its left.
 */
static __always_inline void qs_aes(struct qs_block *block, const __u32 *key, bool inverse)
{
	const __u32 *tables = inverse ? qs_aes_inverse.round[0] : qs_aes_forward.round[0];
	__u64 a = block->column[0] ^ key[0];
	__u64 b = block->column[1] ^ key[1];
	__u64 c = block->column[2] ^ key[2];
	__u64 d = block->column[3] ^ key[3];
	int i;

	for (i = 4; i < QS_ROUND_KEYS - 4; i += 4) {
		__u64 e =
			qs_column(tables, a, inverse ? d : b, c, inverse ? b : d, key[i]);
		__u64 f = qs_column(tables, b, inverse ? a : c, d, inverse ? c : a,
				    key[i + 1]);
		__u64 g = qs_column(tables, c, inverse ? b : d, a, inverse ? d : b,
				    key[i + 2]);
		__u64 h = qs_column(tables, d, inverse ? c : a, b, inverse ? a : c,
				    key[i + 3]);

		a = e;
		b = f;
		c = g;
		d = h;
	}
	block->column[0] =
		qs_last_column(tables, a, inverse ? d : b, c, inverse ? b : d, key[40]);
	block->column[1] =
		qs_last_column(tables, b, inverse ? a : c, d, inverse ? c : a, key[41]);
	block->column[2] =
		qs_last_column(tables, c, inverse ? b : d, a, inverse ? d : b, key[42]);
	block->column[3] =
		qs_last_column(tables, d, inverse ? c : a, b, inverse ? a : c, key[43]);
}

/* One load, aligned or not; for memcpy() the compiler would make eight of it. */
static __always_inline __u64 qs_load64(const __u8 *at)
{
	return bpf_be64_to_cpu(*(const __u64 *)at);
}

static __always_inline struct qs_half qs_load_half(const __u8 *at)
{
	return (struct qs_half){qs_load64(at), bpf_ntohs(*(const __u16 *)(at + 8))};
}

/* @into ^= the beginning of AES(@from | zeros | length | pass). */
static __always_inline void qs_pass(const struct qs_slot *slot, struct qs_half *into,
				    const struct qs_half *into_mask,
				    const struct qs_half *from, __u32 pass)
{
	struct qs_block block = {{from->front >> 32, from->front, from->back << 16,
				  (__u32)slot->block_length << 8 | pass}};

	qs_aes(&block, slot->round_key, false);
	into->front ^=
		((__u64)block.column[0] << 32 | block.column[1]) & into_mask->front;
	into->back ^= (block.column[2] >> 16) & into_mask->back;
}

/* Four passes, taken back (QUIC-LB, 5.4.2). The halves of a block of odd length
 * share its middle octet. The first pass was over the right half; taking it
 * back is left out where the id stands in the left half alone. Gives the first
 * 16 octets of the block; a server id has 15 at the most.
 */
static __always_inline void qs_undo_four_passes(const struct qs_slot *slot,
						const __u8 *cid, struct qs_id *block)
{
	const __u32 length = slot->block_length;
	const __u32 half = (length + 1) / 2 & 15; /* octets, 3..10 */
	const __u32 right_at = length / 2 & 15;
	/* The bits of a left-aligned half of 80 bits. */
	const struct qs_half ones = {
		half >= 8 ? ~0ull : ~0ull << (64 - 8 * half),
		half <= 8 ? 0 : 0xffff & 0xffffu << (80 - 8 * half),
	};
	struct qs_half left_mask = ones, right_mask = ones;
	struct qs_half left, right;
	__u32 shift = 8 * right_at;

	if (length & 1) {
		/* Its last nibble is the right half's, whose first is this one's. */
		if (half > 8)
			left_mask.back &= left_mask.back << 4;
		else
			left_mask.front &= left_mask.front << 4;
		right_mask.front &= ~0ull >> 4;
	}
	left = qs_load_half(cid);
	right = qs_load_half(cid + right_at);
	left.front &= left_mask.front;
	left.back &= left_mask.back;
	right.front &= right_mask.front;
	right.back &= right_mask.back;

	qs_pass(slot, &left, &left_mask, &right, 4);
	qs_pass(slot, &right, &right_mask, &left, 3);
	qs_pass(slot, &left, &left_mask, &right, 2);
	if (slot->passes == 4)
		qs_pass(slot, &right, &right_mask, &left, 1);

	/* The right half begins at octet right_at of the block. */
	block->high = left.front;
	block->low = left.back << 48;
	if (shift < 64) {
		block->high |= right.front >> shift;
		block->low |= right.front << (64 - shift) | right.back << 48 >> shift;
	} else {
		block->low |= right.front >> (shift - 64);
	}
}

/* The server id of a connection ID that is read as a block of 16 octets behind
 * its first octet. Too long to be repeated for each kind of packet, so it is a
 * function that the verifier looks at once, for any slot and connection ID.
 */
QS_FUNCTION int qs_read_block(const struct qs_slot *slot, const struct qs_cid *cid,
			      struct qs_id *id)
{
	struct qs_id block;
	__u32 shift;

	if (!slot || !cid || !id)
		return 0;
	block.high = qs_load64(cid->octet + 1);
	block.low = qs_load64(cid->octet + 9);
	if (slot->reading == QS_AES_SINGLE) {
		struct qs_block state = {
			{block.high >> 32, block.high, block.low >> 32, block.low}};

		qs_aes(&state, slot->round_key, true);
		block.high = (__u64)state.column[0] << 32 | state.column[1];
		block.low = (__u64)state.column[2] << 32 | state.column[3];
	} else if (slot->reading == QS_AES_FOUR_PASS) {
		qs_undo_four_passes(slot, cid->octet + 1, &block);
	}
	shift = slot->id_shr; /* 128 - the id's bits: 8..120 */
	if (shift >= 64) {
		id->low = block.high >> ((shift - 64) & 63);
		id->high = 0;
	} else {
		id->low = block.high << ((64 - shift) & 63) | block.low >> (shift & 63);
		id->high = block.high >> (shift & 63);
	}
	return 1;
}

/* 20 octets are readable at @cid. */
static __always_inline void qs_copy_cid(struct qs_cid *copy, const __u8 *cid)
{
	__u64 *words = (__u64 *)copy->octet;

	words[0] = *(const __u64 *)cid;
	words[1] = *(const __u64 *)(cid + 8);
	*(__u32 *)(words + 2) = *(const __u32 *)(cid + 16);
}

/* The first slot that fits a connection ID of @cid_len octets, or NULL. Neither
 * the fixed bit nor the type bits of the header count: the one is greased, the
 * others change with the version. Of a short header the length is not known;
 * then it is QS_MAX_CID_LEN.
 */
static __always_inline const struct qs_slot *
qs_find_slot(const struct qs_service *service, const __u8 *cid, __u32 cid_len)
{
	__u16 head = *(const __u16 *)cid;

	for (__u32 i = 0; i < QS_MAX_SLOTS && (i == 0 || i < service->nr_slots); i++) {
		const struct qs_slot *slot = &service->slot[i];

		if ((head & slot->match_mask) == slot->match_value &&
		    (cid_len == QS_MAX_CID_LEN || cid_len >= slot->cid_length))
			return slot;
	}
	return NULL;
}

/* The server id of which @word holds the octets as they stand in the connection ID. */
static __always_inline __u64 qs_plain_id(const struct qs_slot *slot, __u64 word)
{
	return word << slot->id_shl >> slot->id_shr;
}

static __always_inline __u64 qs_reversed_id(const struct qs_slot *slot, __u64 word)
{
	return __builtin_bswap64(qs_plain_id(slot, word) << slot->id_shr);
}

/* The server id in the connection ID at @cid, as up to 8 octets that stand there.
 * 20 octets are readable at @cid, before @end; false only if they are not.
 */
static __always_inline bool qs_read_plain(const struct qs_slot *slot, const __u8 *cid,
					  const void *end, __u64 *id)
{
	/* Always true, but the verifier cannot know that id_octet <= 12. */
	const __u8 *from = cid + slot->id_octet;

	if ((const void *)(from + 8) > end)
		return false;
	*id = qs_plain_id(slot, qs_load64(from));
	return true;
}

/* The same of any other slot. */
static __always_inline bool qs_read_other(const struct qs_slot *slot, const __u8 *cid,
					  const void *end, struct qs_id *id)
{
	struct qs_cid copy = {};

	if (slot->reading == QS_REVERSED) {
		const __u8 *from = cid + slot->id_octet;

		if ((const void *)(from + 8) > end)
			return false;
		*id = (struct qs_id){.low = qs_reversed_id(slot, qs_load64(from))};
		return true;
	}
	if ((const void *)(cid + QS_MAX_CID_LEN) > end)
		return false;
	qs_copy_cid(&copy, cid);
	return qs_read_block(slot, &copy, id);
}

/* The same of any slot, from a copy. */
static __always_inline bool qs_read_copy(const struct qs_slot *slot,
					 const struct qs_cid *cid, struct qs_id *id)
{
	const __u64 word = qs_load64(cid->octet + (slot->id_octet & 15));

	if (slot->reading == QS_PLAIN)
		*id = (struct qs_id){.low = qs_plain_id(slot, word)};
	else if (slot->reading == QS_REVERSED)
		*id = (struct qs_id){.low = qs_reversed_id(slot, word)};
	else
		return qs_read_block(slot, cid, id);
	return true;
}

#endif
