/* SPDX-License-Identifier: GPL-2.0 */
/* In place of libbpf's, for the program compiled for user space: maps are found
 * by their address.
 */
#ifndef USER_BPF_HELPERS_H
#define USER_BPF_HELPERS_H

#include <linux/types.h>

#undef __always_inline /* of <linux/stddef.h> */

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#define __always_inline	    inline __attribute__((always_inline))
#define __noinline	    static __attribute__((noinline))

void *user_lookup(const void *map, __u32 index);

#define bpf_xdp_adjust_head(ctx, delta) ((ctx)->data += (delta), 0)
#define bpf_get_smp_processor_id()	0
#define bpf_map_lookup_elem(map, index) user_lookup(map, *(index))

#endif
