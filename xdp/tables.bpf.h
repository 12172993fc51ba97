/* SPDX-License-Identifier: GPL-2.0 */
/* The tables of the program and how it looks into them. They are a variable, which
 * libbpf makes the one value of a map: the address of a bucket is computed, with
 * no lookup that could fail and that would take away the registers. lbctl maps
 * the same memory.
 */
#ifndef LBCTL_TABLES_BPF_H
#define LBCTL_TABLES_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "quic_steer.h"

struct qs_tables tables;

/* By CPU. Not a per-CPU map: of those the kernel inlines no lookup before 6.10,
 * and their values have 32 KiB at the most.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the number of CPUs: set before it is loaded */
	__type(key, __u32);
	__type(value, struct qs_counters);
} counters SEC(".maps");

/* A load that the compiler neither repeats nor moves: user space may be
 * writing this word at the same time.
 */
#define LOAD(word) (*(const volatile typeof(word) *)&(word))

/* Is @vip the entry of @key? An IPv4 address has nothing in its first word. */
static __always_inline bool is_vip(const struct qs_vip *vip, __u32 port_family,
				   const struct qs_vip *key)
{
	return port_family == key->port_family && LOAD(vip->addr[1]) == key->addr[1] &&
	       (key->port_family >> 16 == QS_V4 || LOAD(vip->addr[0]) == key->addr[0]);
}

static __always_inline const struct qs_vip *vip_in(const struct qs_vip_bucket *bucket,
						   const struct qs_vip *key)
{
#pragma unroll
	for (int i = 0; i < QS_WAYS; i++) {
		const struct qs_vip *vip = &bucket->way[i];
		__u32 port_family = LOAD(vip->port_family);

		if (is_vip(vip, i == 0 ? port_family & ~QS_VIP_MORE : port_family, key))
			return vip;
	}
	return NULL;
}

static __always_inline const struct qs_vip *
find_entry(const struct qs_vip_bucket *buckets, int bits, const struct qs_vip *key)
{
	__u64 hash_key = qs_vip_key(key->addr[0], key->addr[1], key->port_family);
	const struct qs_vip_bucket *bucket = &buckets[qs_bucket_1(hash_key, bits)];
	__u32 port_family = LOAD(bucket->way[0].port_family);
	const struct qs_vip *vip;

	if (is_vip(&bucket->way[0], port_family & ~QS_VIP_MORE, key))
		return &bucket->way[0];
	if (!(port_family & QS_VIP_MORE))
		return NULL;
	vip = vip_in(bucket, key);
	return vip ? vip : vip_in(&buckets[qs_bucket_2(hash_key, bits)], key);
}

/* The entry of the VIP and port in @key, or NULL. */
static __always_inline const struct qs_vip *find_vip(const struct qs_vip *key)
{
	return find_entry(tables.vips, QS_VIP_BITS, key);
}

struct target {
	__u64 word;
	__u32 counter;
};

/* @kind: QS_SPACE and QS_WIDE of the target. */
static __always_inline struct target target_in(const struct qs_server_bucket *bucket,
					       struct qs_id id, __u64 kind)
{
#pragma unroll
	for (int i = 0; i < QS_WAYS; i++) {
		__u64 target;

		if (LOAD(bucket->way[i].id) != id.low)
			continue;
		target = LOAD(bucket->way[i].target);
		if ((target & (QS_SPACE | QS_WIDE)) == kind && (target & QS_KIND) &&
		    (!id.high || LOAD(bucket->high[i]) == id.high))
			return (struct target){target, LOAD(bucket->counter[i])};
	}
	return (struct target){};
}

/* The target of a server id. Its kind is QS_TO_NOBODY if there is no such
 * server; the free entries that id 0 finds say so too.
 */
static __always_inline struct target find_target(struct qs_id id,
						 const struct qs_slot *slot)
{
	__u64 kind = (__u64)slot->space << QS_SPACE_SHIFT | (id.high ? QS_WIDE : 0);
	__u64 hash_key = qs_server_key(id);
	const struct qs_server_bucket *bucket =
		&tables.servers[qs_bucket_1(hash_key, QS_SERVER_BITS)];
	__u64 first = LOAD(bucket->way[0].id);
	__u64 word = LOAD(bucket->way[0].target);
	struct target target;

	/* Almost all that go to a peer end here. */
	if (first == id.low && !id.high &&
	    (word >> QS_SPACE_SHIFT & 0x7fff) == slot->peer_tag)
		return (struct target){word, LOAD(bucket->counter[0])};
	target = target_in(bucket, id, kind);
	if (target.word || !(word & QS_MORE))
		return target;
	return target_in(&tables.servers[qs_bucket_2(hash_key, QS_SERVER_BITS)], id,
			 kind);
}

static __always_inline bool mac_in(const struct qs_mac_bucket *bucket, __u64 mac)
{
	return (LOAD(bucket->way[0]) & ~QS_MAC_MORE) == mac ||
	       LOAD(bucket->way[1]) == mac || LOAD(bucket->way[2]) == mac ||
	       LOAD(bucket->way[3]) == mac;
}

/* Is @mac a steering peer's address? */
static __always_inline bool is_peer(__u64 mac)
{
	const struct qs_mac_bucket *bucket =
		&tables.peer_macs[qs_bucket_1(mac, QS_MAC_BITS)];
	__u64 differs = LOAD(bucket->way[0]) ^ mac;

	if (!(differs & ~QS_MAC_MORE))
		return true;
	if (!(differs & QS_MAC_MORE))
		return false;
	return mac_in(bucket, mac) ||
	       mac_in(&tables.peer_macs[qs_bucket_2(mac, QS_MAC_BITS)], mac);
}

/* Is @mac the address of a device that we serve? */
static __always_inline bool is_self(__u64 mac)
{
#pragma unroll
	for (int i = 0; i < QS_MAX_DEVICES; i++) {
		if (LOAD(tables.settings.self[i]) == mac)
			return true;
	}
	return false;
}

/* This CPU's counters. */
static __always_inline struct qs_counters *my_counters(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counters, &cpu);
}

/* @row: QS_ROW() of the service. */
static __always_inline __u64 *service_counters(struct qs_counters *mine, __u32 row)
{
	const __u32 mask = (QS_MAX_VIPS - 1) * sizeof(mine->service[0]);

	return (void *)mine->service + (row >> 16 & mask);
}

/* @server: the counter of the server that a packet was sent to. */
static __always_inline void count_steered(__u32 row, __u32 server)
{
	struct qs_counters *mine = my_counters();

	if (!mine)
		return;
	service_counters(mine, row)[QS_STEERED]++;
	mine->server[server & (QS_MAX_SERVERS - 1)]++;
}

/* The outcome is in bounds on every path, but Linux 6.1 loses sight of that
 * where the compiler merged it with another value. The empty asm keeps the
 * compiler, which does see it, from taking the mask out.
 */
static __always_inline void count(__u32 row, __u32 outcome)
{
	struct qs_counters *mine = my_counters();

	if (!mine)
		return;
	asm volatile("" : "+r"(outcome));
	service_counters(mine, row)[outcome & ((1 << QS_OUTCOME_BITS) - 1)]++;
}

#endif
