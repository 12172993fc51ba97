/* SPDX-License-Identifier: GPL-2.0 */
/* What the socket hook's map shares with C++: cgroup id -> the unit whose
 * cgroup that is.
 */
#ifndef LBCTL_MPTCPIZE_H
#define LBCTL_MPTCPIZE_H

#define MZ_UNIT_LEN  256 /* UNIT_NAME_MAX of systemd, which counts the final 0 */
#define MZ_CGROUPS   1024
#define MZ_MAX_LEVEL 16 /* of a unit's cgroup below the root; slices nest */

struct mz_unit {
	char name[MZ_UNIT_LEN];
};

#endif
