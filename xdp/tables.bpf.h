/* SPDX-License-Identifier: GPL-2.0 */
/* The maps of the program and how it looks into them. Lookups in plain array
 * maps are inlined by the verifier; a hash map's would be a call.
 */
#ifndef LBCTL_TABLES_BPF_H
#define LBCTL_TABLES_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "quic_steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << QS_VIP_BITS);
	__type(key, __u32);
	__type(value, struct qs_vip_bucket);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, QS_SERVICE_ROWS);
	__type(key, __u32);
	__type(value, struct qs_service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << QS_SERVER_BITS);
	__type(key, __u32);
	__type(value, struct qs_server_bucket);
} servers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << QS_MAC_BITS);
	__type(key, __u32);
	__type(value, struct qs_mac_bucket);
} peer_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct qs_settings);
} settings SEC(".maps");

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

static __always_inline const struct qs_vip *vip_in(const struct qs_vip_bucket *bucket,
						   const struct qs_vip *key)
{
	for (int i = 0; i < QS_WAYS; i++) {
		const struct qs_vip *vip = &bucket->way[i];

		if ((LOAD(vip->port_family) & ~QS_VIP_SPILLED) == key->port_family &&
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
	__u32 index = qs_bucket_1(hash_key, QS_VIP_BITS);
	const struct qs_vip_bucket *bucket = bpf_map_lookup_elem(&vips, &index);
	const struct qs_vip *vip;

	if (!bucket)
		return NULL;
	vip = vip_in(bucket, key);
	if (!vip) {
		if (!(LOAD(bucket->way[0].port_family) & QS_VIP_SPILLED))
			return NULL;
		index = qs_bucket_2(hash_key, QS_VIP_BITS);
		bucket = bpf_map_lookup_elem(&vips, &index);
		vip = bucket ? vip_in(bucket, key) : NULL;
		if (!vip)
			return NULL;
	}
	index = LOAD(vip->row);
	return bpf_map_lookup_elem(&services, &index);
}

/* @kind: QS_SPACE and QS_WIDE of the target. */
static __always_inline __u64 target_in(const struct qs_server_bucket *bucket, struct qs_id id,
				       __u64 kind)
{
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
	__u32 index = qs_bucket_1(hash_key, QS_SERVER_BITS);
	const struct qs_server_bucket *bucket;
	__u64 target;

	bucket = bpf_map_lookup_elem(&servers, &index);
	if (!bucket)
		return QS_TO_NOBODY;
	target = target_in(bucket, id, kind);
	if ((target & QS_KIND) || !(LOAD(bucket->way[0].target) & QS_SPILLED))
		return target;
	index = qs_bucket_2(hash_key, QS_SERVER_BITS);
	bucket = bpf_map_lookup_elem(&servers, &index);
	return bucket ? target_in(bucket, id, kind) : QS_TO_NOBODY;
}

static __always_inline bool mac_in(const struct qs_mac_bucket *bucket, __u64 mac)
{
	for (int i = 0; i < QS_WAYS; i++) {
		if ((LOAD(bucket->way[i]) & ~QS_SPILLED) == mac)
			return true;
	}
	return false;
}

/* Is @mac (with QS_MAC_USED) a steering peer's address? */
static __always_inline bool is_peer(__u64 mac)
{
	__u32 index = qs_bucket_1(mac, QS_MAC_BITS);
	const struct qs_mac_bucket *bucket = bpf_map_lookup_elem(&peer_macs, &index);

	if (!bucket)
		return false;
	if (mac_in(bucket, mac))
		return true;
	if (!(LOAD(bucket->way[0]) & QS_SPILLED))
		return false;
	index = qs_bucket_2(mac, QS_MAC_BITS);
	bucket = bpf_map_lookup_elem(&peer_macs, &index);
	return bucket && mac_in(bucket, mac);
}

/* Is @mac (with QS_MAC_USED) the address of a device that we serve? */
static __always_inline bool is_self(__u64 mac)
{
	__u32 index = 0;
	const struct qs_settings *row = bpf_map_lookup_elem(&settings, &index);

	if (!row)
		return false;
#pragma unroll
	for (int i = 0; i < QS_MAX_DEVICES; i++) {
		if (LOAD(row->self[i]) == mac)
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
