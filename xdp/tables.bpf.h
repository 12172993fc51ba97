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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct qs_counters);
} counters SEC(".maps");

/* A load that the compiler neither repeats nor moves: user space may be
 * writing this word at the same time.
 */
#define LOAD(word) (*(const volatile typeof(word) *)&(word))

/* Only the first entry of a bucket has the mark of the spilled. */
static __always_inline const struct qs_vip *vip_in(const struct qs_vip_bucket *bucket,
						   const struct qs_vip *key)
{
#pragma unroll
	for (int i = 0; i < QS_WAYS; i++) {
		const struct qs_vip *vip = &bucket->way[i];
		__u32 port_family = LOAD(vip->port_family);

		if ((i == 0 ? port_family & ~QS_VIP_SPILLED : port_family) == key->port_family &&
		    LOAD(vip->addr[1]) == key->addr[1] &&
		    LOAD(vip->addr[0]) == key->addr[0])
			return vip;
	}
	return NULL;
}

/* The service of the VIP and port in @key, or NULL. */
static __always_inline const struct qs_service *find_service(const struct qs_vip *key)
{
	__u64 hash_key = qs_vip_key(key->addr[0], key->addr[1], key->port_family);
	const struct qs_vip_bucket *bucket = &tables.vips[qs_bucket_1(hash_key, QS_VIP_BITS)];
	const struct qs_vip *vip = vip_in(bucket, key);

	if (!vip) {
		if (!(LOAD(bucket->way[0].port_family) & QS_VIP_SPILLED))
			return NULL;
		vip = vip_in(&tables.vips[qs_bucket_2(hash_key, QS_VIP_BITS)], key);
		if (!vip)
			return NULL;
	}
	return &tables.services[LOAD(vip->row) & (QS_SERVICE_ROWS - 1)];
}

/* @kind: QS_SPACE and QS_WIDE of the target. */
static __always_inline __u64 target_in(const struct qs_server_bucket *bucket, struct qs_id id,
				       __u64 kind)
{
#pragma unroll
	for (int i = 0; i < QS_WAYS; i++) {
		__u64 target;

		if (LOAD(bucket->way[i].id) != id.low)
			continue;
		target = LOAD(bucket->way[i].target);
		if ((target & (QS_SPACE | QS_WIDE)) == kind &&
		    (!id.high || LOAD(bucket->high[i]) == id.high))
			return target;
	}
	return 0;
}

/* The target word of a server id. Its kind is QS_TO_NOBODY if there is no such
 * server; the free entries that id 0 finds say so too.
 */
static __always_inline __u64 find_target(struct qs_id id, __u8 space)
{
	__u64 kind = (__u64)space << QS_SPACE_SHIFT | (id.high ? QS_WIDE : 0);
	__u64 hash_key = qs_server_key(id, space);
	const struct qs_server_bucket *bucket = &tables.servers[qs_bucket_1(hash_key, QS_SERVER_BITS)];
	__u64 target = target_in(bucket, id, kind);

	if ((target & QS_KIND) || !(LOAD(bucket->way[0].target) & QS_SPILLED))
		return target;
	return target_in(&tables.servers[qs_bucket_2(hash_key, QS_SERVER_BITS)], id, kind);
}

static __always_inline bool mac_in(const struct qs_mac_bucket *bucket, __u64 mac)
{
	return (LOAD(bucket->way[0]) & ~QS_SPILLED) == mac || LOAD(bucket->way[1]) == mac ||
	       LOAD(bucket->way[2]) == mac || LOAD(bucket->way[3]) == mac;
}

/* Is @mac (with QS_MAC_USED) a steering peer's address? */
static __always_inline bool is_peer(__u64 mac)
{
	const struct qs_mac_bucket *bucket = &tables.peer_macs[qs_bucket_1(mac, QS_MAC_BITS)];

	if (mac_in(bucket, mac))
		return true;
	if (!(LOAD(bucket->way[0]) & QS_SPILLED))
		return false;
	return mac_in(&tables.peer_macs[qs_bucket_2(mac, QS_MAC_BITS)], mac);
}

/* Is @mac (with QS_MAC_USED) the address of a device that we serve? */
static __always_inline bool is_self(__u64 mac)
{
#pragma unroll
	for (int i = 0; i < QS_MAX_DEVICES; i++) {
		if (LOAD(tables.settings.self[i]) == mac)
			return true;
	}
	return false;
}

/* The only helper call of the program, on kernels that do not inline it.
 *
 * The outcome is in bounds on every path, but Linux 6.1 loses sight of that
 * where the compiler merged it with another value. The empty asm keeps the
 * compiler, which does see it, from taking the test out.
 */
static __always_inline void count(__u32 outcome)
{
	__u32 index = 0;
	struct qs_counters *mine = bpf_map_lookup_elem(&counters, &index);

	asm volatile("" : "+r"(outcome));
	if (mine && outcome < QS_NR_OUTCOMES)
		mine->packets[outcome]++;
}

#endif
