/* SPDX-License-Identifier: GPL-2.0 */
/* The tables of the QUIC steering program: what lbctl writes and the program
 * reads. Shared by BPF C and C++, so it holds plain C types and hashes only.
 *
 * Every table but the counters is one value of an mmapable map. lbctl writes it
 * through the mapping with single aligned stores, which no reader can see
 * half done; a map update by system call would be a memcpy() under the reader.
 *
 * VIPs, servers and MAC addresses are found by hash: a key lives in one of two
 * buckets of four entries. Almost always it is the first entry of the first
 * bucket; the others are looked into only where that entry says that there is
 * more, so that a miss, which is the common case for a MAC address, costs one
 * comparison.
 */
#ifndef LBCTL_QUIC_STEER_H
#define LBCTL_QUIC_STEER_H

#include <linux/types.h>

/* Raise this when the meaning of a table changes. It is in the names of the pins, so
 * that tables of another lbctl are left to the programs that use them.
 */
#define QS_LAYOUT 3

#define QS_MAX_VIPS    256
#define QS_MAX_SERVERS 4096
#define QS_MAX_DEVICES 16
#define QS_MAX_SLOTS   8 /* one for each QUIC-LB config, and one more */

#define QS_WAYS	       4 /* entries in a bucket */
#define QS_VIP_BITS    10
#define QS_SERVER_BITS 14
#define QS_MAC_BITS    14

/* Twice as many as VIPs: a changed service gets a new row, then the VIP's
 * entry is pointed at it by one store. Rows are handed out in turn, so an old
 * row is not written again while a packet that found it is being handled.
 */
#define QS_SERVICE_ROWS (2 * QS_MAX_VIPS)

#define QS_MAX_CID_LEN 20 /* RFC 9000, 17.2 */

/* An IPv4 VIP stands in addr[1], with addr[0] = 0. Address octets and the port
 * are in network order, as loaded from the packet.
 */
struct qs_vip {
	__u64 addr[2];
	__u32 port_family; /* QS_PORT_FAMILY(); 0: a free entry */
	__u32 row; /* of the service, QS_ROW(); one word, so one store changes it */
};

struct qs_vip_bucket {
	struct qs_vip way[QS_WAYS];
};

#define QS_PORT_FAMILY(port_be, family) ((__u32)(port_be) | (__u32)(family) << 16)
#define QS_V4				4u
#define QS_V6				6u
#define QS_VIP_MORE			(1u << 31) /* in way[0] */

/* Where the service is in the table, and where its counters are: the former
 * changes with every change of the service, the latter stays. The high 16 bits
 * are an offset in the counters.
 */
#define QS_COUNTER_SHIFT     23
#define QS_ROW(row, counter) ((__u32)(row) | (__u32)(counter) << QS_COUNTER_SHIFT)

/* How the server id is read out of a connection ID. */
enum qs_reading {
	QS_PLAIN = 0,	  /* up to 8 octets that stand there */
	QS_REVERSED,	  /* the same, the lowest octet first */
	QS_BLOCK,	  /* up to 15 octets that stand there, from octet 1 on */
	QS_AES_SINGLE,	  /* the same, of 16 octets that are one block of AES-128 */
	QS_AES_FOUR_PASS, /* the same, of 5 to 19 octets but 16, in four passes of it */
};

#define QS_ROUND_KEYS 44 /* words of an AES-128 key schedule */

/* How one kind of connection ID is recognised and where its server id is.
 *
 * QS_PLAIN and QS_REVERSED: the id is read as 8 octets from id_octet on, in
 * network order, shifted left by id_shl and then right by id_shr; id_octet <= 12.
 * The others: as 16 octets from octet 1 on, deciphered and shifted right by
 * id_shr.
 */
struct qs_slot {
	__u16 match_mask; /* over CID octets 0 and 1, network order */
	__u16 match_value;
	__u8 cid_length;   /* octets; a shorter DCID does not match */
	__u8 reading;	   /* enum qs_reading */
	__u8 block_length; /* octets that are enciphered */
	__u8 passes;	   /* to take back of four: 3 if the id is in the left half */
	__u8 id_octet;
	__u8 id_shl;
	__u8 id_shr;
	__u8 space;  /* server ids of different spaces are different servers */
	__u8 scheme; /* what lbctl calls it: the program does not look */
	__u8 unused;
	__u16 peer_tag;			/* QS_PEER_TAG() of the space */
	__u32 round_key[QS_ROUND_KEYS]; /* in the order of their use; 0 where nothing is
					 * enciphered */
};

struct qs_service {
	__u32 nr_slots;
	__u32 flags;  /* QS_KEEP_LONG, QS_DROP_UNKNOWN */
	__u64 unused; /* so that the first slot's head is in the first cache line */
	struct qs_slot slot[QS_MAX_SLOTS]; /* the first that matches decides */
};

#define QS_KEEP_LONG	1u /* long headers are left to the local stack */
#define QS_DROP_UNKNOWN 2u /* ids that no server has are dropped, not passed */

/* A server id: up to 120 bits, host order. */
struct qs_id {
	__u64 low;
	__u64 high;
};

/* One server id. The target is a single word so that a changed MAC address is
 * one store: a packet goes to the old address or to the new one, never to a
 * mixture. Adding writes the id, then target; removing writes target; the
 * reader loads id, then target.
 */
struct qs_server {
	__u64 id; /* its low word */
	__u64 target;
};

struct qs_server_bucket {
	struct qs_server way[QS_WAYS]; /* one cache line */
	__u64 high[QS_WAYS];	       /* of ids with QS_WIDE */
	__u32 counter[QS_WAYS];	       /* of the server */
	__u32 unused[QS_WAYS];
};

/* target: kind (4 bits, from 56), space (8 bits, from 48), operand (48 bits).
 * The operand of QS_TO_PEER is its MAC address.
 */
#define QS_KIND_SHIFT	   56
#define QS_SPACE_SHIFT	   48
#define QS_OPERAND	   0x0000ffffffffffffull
#define QS_SPACE	   0x00ff000000000000ull
#define QS_KIND		   0x0f00000000000000ull
#define QS_WIDE		   0x1000000000000000ull       /* the id has more than 64 bits */
#define QS_MORE		   0x8000000000000000ull       /* in way[0] */
#define QS_PEER_TAG(space) (QS_TO_PEER << 8 | (space)) /* target >> 48 of a narrow id */

enum qs_kind {
	QS_TO_NOBODY = 0,
	QS_TO_LOCAL = 1,
	QS_TO_PEER = 2,
	QS_TO_UNRESOLVED = 3, /* a peer whose MAC address is not known */
	QS_TO_TUNNEL = 4,     /* its operand: a row of the tunnels */
};

/* A steering peer's MAC address, as QS_MAC_WORD(); 0: a free entry. */
struct qs_mac_bucket {
	__u64 way[QS_WAYS];
};

/* Of 8 octets of a frame, in memory's order, that begin with the address. */
#define QS_MAC_WORD(octets) ((octets) << 16 | 2)
#define QS_MAC_MORE	    1ull /* in way[0] */

/* How a peer beyond a router is reached: IP in IP, from our address to the peer's.
 * A changed tunnel gets a new row, in turn, and the target is pointed at it.
 */
struct qs_tunnel {
	__u64 mac; /* of the next hop, in the low 48 bits; 0: not resolved */
	__u64 source[2];
	__u64 destination[2]; /* as in qs_vip */
	__u32 family;	      /* QS_V4 or QS_V6, of these addresses; 0: no tunnel */
	__u32 mtu;	      /* octets that an outer packet may have */
};

#define QS_MAX_TUNNELS 1024
#define QS_TUNNEL_ROWS (2 * QS_MAX_TUNNELS)
#define QS_SENDER_BITS 12

/* The one row of the settings. self: the MAC addresses, as QS_MAC_WORD(), of
 * the devices that the program is attached to. Frames for other stations come
 * by too (a bridge floods, a capture makes the device promiscuous); to answer
 * one would teach the switch that its addressee lives here.
 */
struct qs_settings {
	__u32 next_row; /* of the services, to be handed out next; lbctl's own */
	__u32 next_tunnel;
	__u64 self[QS_MAX_DEVICES];
} __attribute__((aligned(64)));

/* Everything but the counters; what is looked at with every packet comes first,
 * where its address fits into the instruction. The one value of one map, of less than 4
 * MiB, the most that a value may have.
 */
struct qs_tables {
	struct qs_settings settings;
	struct qs_server_bucket servers[1 << QS_SERVER_BITS];
	struct qs_mac_bucket peer_macs[1 << QS_MAC_BITS];
	struct qs_vip_bucket vips[1 << QS_VIP_BITS];
	struct qs_service services[QS_SERVICE_ROWS];
	struct qs_tunnel tunnels[QS_TUNNEL_ROWS];
	/* The addresses that tunnelled packets may come from: as VIPs, with port 0. */
	struct qs_vip_bucket senders[1 << QS_SENDER_BITS];
};

/* What became of a packet for a steered VIP:port, or of an ICMP error about one
 * from there. All others (and all fragments) are passed uncounted.
 */
enum qs_outcome {
	QS_STEERED,	  /* sent to a peer */
	QS_LOCAL,	  /* passed: the id is this node's */
	QS_FROM_PEER,	  /* passed: steered once already */
	QS_OTHER_STATION, /* passed: the frame is not for this device */
	QS_TOO_SHORT,	  /* passed: no room for a connection ID */
	QS_UNROUTABLE,	  /* passed: no slot matches the connection ID */
	QS_LONG_HEADER,	  /* passed: the service keeps those */
	QS_UNKNOWN_ID,	  /* passed, or dropped: no server has this id */
	QS_UNRESOLVED,	  /* passed: the peer's MAC address is not known */
	QS_TTL_EXPIRED,	  /* dropped: TTL or hop limit used up */
	QS_TOO_BIG,	  /* passed: it would not fit with a tunnel's header */
	QS_UNWRAPPED,	  /* passed: taken out of a peer's tunnel */
	QS_NR_OUTCOMES,
};

#define QS_OUTCOME_BITS 4

/* One CPU's. A server's are the packets that were sent to it. */
struct qs_counters {
	__u64 service[QS_MAX_VIPS][1 << QS_OUTCOME_BITS];
	__u64 server[QS_MAX_SERVERS];
	__u64 gone[1 << QS_OUTCOME_BITS]; /* of services that are no more: lbctl's own */
};

/* Multiplicative hashes: the high bits of key * odd constant. The two buckets
 * of a key use different constants, so that keys in arithmetic progression
 * that one of them throws together are spread by the other.
 */
#define QS_MULTIPLIER_1 0x9e3779b97f4a7c15ull
#define QS_MULTIPLIER_2 0xd6e8feb86659fd93ull
#define QS_MULTIPLIER_3 0xbf58476d1ce4e5b9ull

static inline __u32 qs_bucket_1(__u64 hash_key, int bits)
{
	return (__u32)((hash_key * QS_MULTIPLIER_1) >> (64 - bits));
}

static inline __u32 qs_bucket_2(__u64 hash_key, int bits)
{
	return (__u32)((hash_key * QS_MULTIPLIER_2) >> (64 - bits));
}

/* VIPs differ in few bits, and in several places alike (2001:db8:0:5::5, or
 * port 8005 on ::5), which must not cancel each other. Swapped, the octets that
 * differ stand low, from where a multiplication spreads them. Of IPv4, all fits.
 */
static inline __u64 qs_vip_key(__u64 addr0, __u64 addr1, __u32 port_family)
{
	if (port_family >> 16 == QS_V4)
		return addr1 | (__u64)port_family << 32;
	return (__builtin_bswap64(addr0) * QS_MULTIPLIER_3) ^ __builtin_bswap64(addr1) ^
	       (port_family * QS_MULTIPLIER_2);
}

static inline __u64 qs_server_key(struct qs_id id)
{
	return id.low ^ id.high * QS_MULTIPLIER_3;
}

#endif
