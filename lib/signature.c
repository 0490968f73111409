/* signature.c - see vmferry/signature.h */
#include <stddef.h>

#include <blkid.h>

#include <vmferry/signature.h>

/* 1: found and named; 0: nothing; -1: cannot tell. */
static int
probe(blkid_probe pr, const char **what, const char **kind)
{
	int rc;

	if (blkid_probe_enable_superblocks(pr, 1) != 0 ||
	    blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE) != 0 ||
	    blkid_probe_enable_partitions(pr, 1) != 0 ||
	    /* also when only the backup at the end is left, as wipefs does */
	    blkid_probe_set_partitions_flags(pr, BLKID_PARTS_FORCE_GPT) != 0)
		return -1;
	/* Not the "safe" probe: two signatures at once are one too many. */
	rc = blkid_do_probe(pr);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (blkid_probe_lookup_value(pr, "TYPE", what, NULL) == 0)
		*kind = "signature";
	else if (blkid_probe_lookup_value(pr, "PTTYPE", what, NULL) == 0)
		*kind = "partition table";
	else
		return -1;
	return 1;
}

int
vmf_signature_refuse(int fd, const char *name, struct vmf_error *err)
{
	const char *what = "", *kind = "";
	blkid_probe pr = blkid_new_probe();
	int found = -1, rc;

	if (pr != NULL && blkid_probe_set_device(pr, fd, 0, 0) == 0)
		found = probe(pr, &what, &kind);
	if (found == 0)
		rc = 0;
	else if (found == 1)
		rc = vmf_fail(err, VMF_REFUSED,
		    "%s: holds a %s (%s); choose another target, or allow "
		    "it to be overwritten",
		    name, kind, what);
	else
		rc = vmf_fail(
		    err, VMF_IO, "%s: cannot be searched for signatures", name);
	blkid_free_probe(pr);
	return rc;
}
