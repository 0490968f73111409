/* partition.c - see vmferry/partition.h */
#include <stdio.h>

#include <blkid.h>

#include <vmferry/partition.h>

#define SECTOR 512 /* libblkid's unit, whatever the disk's is */

/* "1, 2, 5", as much of it as fits. */
static void
list_numbers(blkid_partlist list, char *text, size_t size)
{
	int i, n = blkid_partlist_numof_partitions(list);
	size_t at = 0;

	text[0] = '\0';
	for (i = 0; i < n && at + 8 < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%d",
		    i > 0 ? ", " : "",
		    blkid_partition_get_partno(
			blkid_partlist_get_partition(list, i)));
}

static int
find_in(blkid_partlist list, const char *name, unsigned number, uint64_t *off,
    uint64_t *len, struct vmf_error *err)
{
	blkid_partition part =
	    blkid_partlist_get_partition_by_partno(list, (int)number);
	char there[128];

	if (blkid_partlist_numof_partitions(list) == 0)
		return vmf_fail(
		    err, VMF_REFUSED, "%s: has no partition table", name);
	if (part == NULL) {
		list_numbers(list, there, sizeof(there));
		return vmf_fail(err, VMF_REFUSED,
		    "%s: has no partition %u; there are: %s", name, number,
		    there);
	}
	if (blkid_partition_is_extended(part))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: partition %u is an extended one, which only holds "
		    "others; name one of those",
		    name, number);
	*off = (uint64_t)blkid_partition_get_start(part) * SECTOR;
	*len = (uint64_t)blkid_partition_get_size(part) * SECTOR;
	return 0;
}

int
vmf_partition_find(int fd, const char *name, unsigned number, uint64_t *off,
    uint64_t *len, struct vmf_error *err)
{
	blkid_probe pr = blkid_new_probe();
	blkid_partlist list = NULL;
	int rc;

	if (pr != NULL && blkid_probe_set_device(pr, fd, 0, 0) == 0 &&
	    blkid_probe_enable_partitions(pr, 1) == 0)
		list = blkid_probe_get_partitions(pr);
	rc = list != NULL
		 ? find_in(list, name, number, off, len, err)
		 : vmf_fail(err, VMF_REFUSED,
		       "%s: has no partition table that libblkid knows", name);
	blkid_free_probe(pr);
	return rc;
}
