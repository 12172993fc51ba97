// SPDX-License-Identifier: GPL-2.0
/* Makes the TCP sockets of some cgroups MPTCP sockets: runs in socket(2), at
 * update_socket_protocol() (Linux 6.6), whose return value is the protocol that
 * the socket gets.
 *
 * Sockets that are accepted, or made inside the kernel, do not come by here.
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "mptcpize.h"

/* Not from <sys/socket.h>: that is the C library's, which BPF has none of. */
#define AF_INET	       2
#define AF_INET6       10
#define SOCK_STREAM    1
#define SOCK_TYPE_MASK 0xf /* SOCK_CLOEXEC and SOCK_NONBLOCK stand above it */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MZ_CGROUPS);
	__type(key, __u64);
	__type(value, struct mz_unit);
} cgroups SEC(".maps");

/* A service may make cgroups of its own (Delegate=yes), so that the process is
 * below the unit's.
 */
static __always_inline bool in_a_unit(void)
{
	for (int level = 1; level <= MZ_MAX_LEVEL; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (id == 0) /* deeper than the process is */
			return false;
		if (bpf_map_lookup_elem(&cgroups, &id))
			return true;
	}
	return false;
}

/* @args: family, type and protocol, as socket(2) got them. 0 leaves the protocol
 * to the kernel, which takes the one that was asked for.
 */
SEC("fmod_ret/update_socket_protocol")
int mptcpize(unsigned long long *args)
{
	const int family = (int)args[0], type = (int)args[1], protocol = (int)args[2];

	if (family != AF_INET && family != AF_INET6)
		return 0;
	if ((type & SOCK_TYPE_MASK) != SOCK_STREAM)
		return 0;
	if (protocol != 0 && protocol != IPPROTO_TCP)
		return 0;
	return in_a_unit() ? IPPROTO_MPTCP : 0;
}

char _license[] SEC("license") = "GPL";
