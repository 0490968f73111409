/* input.c - see input.h */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/units.h>

#include "input.h"

static bool
ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len > n && strcmp(s + len - n, end) == 0;
}

static enum cli_kind
kind_of(const struct cli_input *in)
{
	const uint8_t *b = in->first;

	if (ends_with(in->fd.name, ".vmf.tar"))
		return CLI_PACKAGE;
	if (ends_with(in->fd.name, ".vmf.zst"))
		return CLI_STREAM;
	if (in->first_len >= 8 && memcmp(b, "vmferry", 8) == 0)
		return CLI_PACKAGE;
	if (in->first_len >= 12 && vmf_get_le32(b) == 0x184D2A56u &&
	    memcmp(b + 8, "VMFO", 4) == 0)
		return CLI_STREAM;
	return CLI_UNKNOWN;
}

static int
read_more(struct cli_input *in, void *buf, size_t len, size_t *got,
    struct vmf_error *err)
{
	if (in->down != NULL)
		return vmf_download_read(in->down, buf, len, got, err);
	if (vmf_read_full(in->fd.fd, buf, len, got, err) < 0)
		return vmf_wrap(err, "%s", in->fd.name);
	return 0;
}

static int
read_first(struct cli_input *in, struct vmf_error *err)
{
	in->first_used = 0;
	return read_more(in, in->first, sizeof(in->first), &in->first_len, err);
}

int
cli_input_open(struct cli_input *in, const char *path, struct vmf_error *err)
{
	struct stat st;

	memset(in, 0, sizeof(*in));
	in->fd = (struct vmf_fd){STDIN_FILENO, "standard input"};
	if (strcmp(path, "-") != 0) {
		in->fd.name = path;
		in->fd.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (in->fd.fd < 0)
			return vmf_fail_errno(err, VMF_IO, "%s", path);
	} else if (isatty(STDIN_FILENO)) {
		return vmf_fail(err, VMF_USAGE,
		    "standard input is a terminal; name a file or pipe one "
		    "into it");
	}
	/* Standard input may be a file that stands at any byte. */
	in->seekable = in->fd.fd != STDIN_FILENO &&
		       fstat(in->fd.fd, &st) == 0 && S_ISREG(st.st_mode);
	if (read_first(in, err) < 0)
		return -1;
	in->kind = kind_of(in);
	return 0;
}

int
cli_input_open_remote(struct cli_input *in, const char *path,
    struct remote *remote, struct vmf_progress *progress, struct vmf_error *err)
{
	struct vmf_transfer_options options = {
	    .ssh = &remote->ssh, .progress = progress, .uncounted = true};
	struct vmf_location loc;

	memset(in, 0, sizeof(*in));
	if (vmf_location_parse(path, &loc, err) < 0)
		return -1;
	if (loc.kind != VMF_LOCATION_REMOTE) {
		vmf_location_clear(&loc);
		return cli_input_open(in, path, err);
	}
	in->loc = loc;
	in->remote = remote;
	in->fd = (struct vmf_fd){-1, loc.text};
	if (remote_resolve(remote, &in->loc, progress, err) < 0)
		return -1;
	in->down = vmf_download_open(&options, in->loc.path, err);
	if (in->down == NULL || read_first(in, err) < 0)
		return -1;
	in->kind = kind_of(in);
	return 0;
}

static int
input_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct cli_input *in = ctx;
	size_t left = in->first_len - in->first_used;
	size_t n = len < left ? len : left;

	memcpy(buf, in->first + in->first_used, n);
	in->first_used += n;
	*got = n;
	/* A short first read was the end. */
	if (n == len || in->first_len < sizeof(in->first))
		return 0;
	if (read_more(in, (uint8_t *)buf + n, len - n, got, err) < 0)
		return -1;
	*got += n;
	return 0;
}

struct vmf_in
cli_input_in(struct cli_input *in)
{
	return (struct vmf_in){.read = input_read, .ctx = in};
}

int
cli_input_rewind(struct cli_input *in, struct vmf_error *err)
{
	if (lseek(in->fd.fd, 0, SEEK_SET) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", in->fd.name);
	return read_first(in, err);
}

void
cli_input_close(struct cli_input *in)
{
	if (in->fd.fd > STDIN_FILENO)
		close(in->fd.fd);
	vmf_download_free(in->down);
	if (in->remote != NULL)
		remote_clear(in->remote);
	vmf_location_clear(&in->loc);
}

int
cli_input_unknown(const struct cli_input *in, struct vmf_error *err)
{
	const char *what = "is no package or stream of vmferry";

	if (in->first_len == 0)
		what = "is empty; its producer failed?";
	else if (in->first_len >= 16 &&
		 memcmp(in->first, "LibvirtQemud", 12) == 0)
		what = "is a state file of virsh save, which this tool does "
		       "not know; use virsh";
	else if (in->first_len >= 4 && memcmp(in->first, "QFI\373", 4) == 0)
		what = "is a qcow2 image, no package or stream; use qemu-img";
	else if (in->first_len >= 4 && vmf_get_le32(in->first) == 0xFD2FB528u)
		what = "is plain zstd, no package or stream; use zstd";
	else if (in->first_len >= 262 &&
		 memcmp(in->first + 257, "ustar", 5) == 0)
		what = "is a tar file, but no vmferry package; use tar";
	return vmf_fail(err, VMF_INTEGRITY, "%s: %s", in->fd.name, what);
}
